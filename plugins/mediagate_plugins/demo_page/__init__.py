"""A page to try a gate with: drop a picture, watch it go through, see its sizes and its placeholder.

For development and demonstrations; it needs no build step and loads nothing from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mediagate import MediaGate, plugin
from mediagate.errors import FileNotServed, PluginError

FOLDER = Path(__file__).parent
FILES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "upload.js": "text/javascript",
    "card.js": "text/javascript",
    "blurhash.js": "text/javascript",
}
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data: https: http:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@plugin("demo_page")
async def demo_page(gate: MediaGate, *, path: str = "/") -> None:
    """Serve the page under ``path``, which ends with a slash, below the gate's mount."""
    if not path.endswith("/"):
        raise PluginError(f"demo_page: path {path!r} must end with a slash")
    # HTML escapes inside JSON, so that nothing in it can end the script element that carries it.
    sources = json.dumps({name: source.max_bytes for name, source in gate.sources.items()}).replace("<", "\\u003c")
    page = (FOLDER / "page.html").read_text().replace("{{sources}}", sources)
    contents = {name: (FOLDER / name).read_bytes() for name in FILES}

    async def show(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        return HTMLResponse(page.replace("{{root}}", root), headers=HEADERS)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in contents:
            raise FileNotServed(f"the demo page has no file {name!r}")
        headers = {**HEADERS, "ETag": f'"{hashlib.sha256(contents[name]).hexdigest()[:32]}"'}
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(contents[name], media_type=FILES[name], headers=headers)

    gate.add_route(path, show, methods=["GET"])
    gate.add_route(f"{path}demo/{{name}}", file, methods=["GET"])
