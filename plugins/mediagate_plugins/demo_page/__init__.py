"""A page to try a gate: drop a picture and follow its job, or run operations on it.

For development and demonstrations; it needs no build step and loads nothing from other origins.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagate import OPERATIONS, Action, MediaGate, Source, form_hints, owner_seen_by, plugin
from mediagate.errors import FileNotServed, PluginError

FOLDER = Path(__file__).parent
TYPES = {".css": "text/css", ".js": "text/javascript"}
PATH = re.compile(r"/([A-Za-z0-9_.~-]+/)*")
ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


@plugin("demo_page")
async def demo_page(
    gate: MediaGate,
    *,
    path: str = "/",
    image_origins: Sequence[str] = (),
    upload_origins: Sequence[str] = (),
    scores: bool = False,
) -> None:
    """Serve the page at ``path`` below the gate's mount; ``path`` ends with a slash.

    Pictures may be loaded from the gate, ``public_url``, ``public_base_url`` and ``image_origins``, such as
    ``https://cdn.example``, the origin of a custom storage. ``upload_origins`` are the origins of signed URLs of direct
    uploads. ``scores`` shows the scores of all labels to callers who may read the job. No other route reveals them,
    because a caller could use them to alter a picture until it just passes. A gate with the plugin ``pipelines`` has a
    second tab for operations. On loopback addresses a gate with this page
    and without ``authorize`` answers only under the host names of this machine and of the setting ``allowed_hosts``.
    Raises ``PluginError`` for an invalid path or origin.
    """
    if not PATH.fullmatch(path):
        raise PluginError(f"demo_page: path {path!r} must begin and end with a slash, such as '/try/'")
    named = [url for url in (gate.settings.public_url, gate.settings.public_base_url) if url]
    headers = _headers([*map(_origin, named), *image_origins], upload_origins)
    sources = {name: _described(source) for name, source in gate.sources.items()}
    # The path to the mount is relative, so that the page also works behind a proxy that strips a prefix.
    page = (
        (FOLDER / "page.html")
        .read_text(encoding="utf-8")
        .replace("{{root}}", "../" * (path.count("/") - 1))
        .replace("{{sources}}", html.escape(json.dumps(sources)))
        .replace("{{scores}}", "yes" if scores else "no")
    )
    files = {file.name: file.read_bytes() for file in FOLDER.iterdir() if file.suffix in TYPES}

    async def show(request: Request) -> Response:
        # Here, because plugins that are registered later may provide the operations.
        shown = page.replace("{{operations}}", "yes" if _has_operations(gate) else "no")
        return _answer(request, shown.encode(), "text/html", headers)

    async def send(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise FileNotServed(f"file {name!r} not found")
        return _answer(request, files[name], TYPES[Path(name).suffix], headers)

    async def show_scores(request: Request) -> Response:
        owner = owner_seen_by(await gate.authorize(request, Action.READ))
        status = await gate.get_status(request.path_params["job_id"], owner=owner)
        found = dict(status.job.verdict.scores) if status.job.verdict is not None else {}
        return JSONResponse({"scores": found}, headers={"Cache-Control": "no-store"})

    gate.guard_hosts()
    gate.add_route(path, show, methods=["GET"])
    gate.add_route(f"{path}demo/{{name}}", send, methods=["GET"])
    if scores:
        gate.add_route(f"{path}demo/scores/{{job_id}}", show_scores, methods=["GET"])


def _has_operations(gate: MediaGate) -> bool:
    try:
        return bool(gate[OPERATIONS])
    except PluginError:
        return False


def _described(source: Source) -> dict[str, object]:
    """Return the limit, formats and sizes of a source for the page, worded as in the gate's own responses."""
    hints = form_hints(source)
    return {
        "maxBytes": hints.max_bytes,
        "limit": hints.limit,
        "tooLarge": hints.too_large,
        "formats": hints.formats,
        "accept": hints.accept,
        "sizes": list(source.variants),
    }


def _headers(image_origins: Sequence[str], upload_origins: Sequence[str]) -> dict[str, str]:
    for origin in [*image_origins, *upload_origins]:
        if not ORIGIN.fullmatch(origin):
            raise PluginError(
                f"demo_page: {origin!r} is not an origin; write scheme and host, such as https://cdn.example"
            )
    images = " ".join(["'self'", "data:", "blob:", *dict.fromkeys(image_origins)])
    uploads = " ".join(["'self'", *dict.fromkeys(upload_origins)])
    return {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": (
            f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {uploads}; img-src {images}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _answer(request: Request, body: bytes, media_type: str, headers: dict[str, str]) -> Response:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]
    if etag in known:
        return Response(status_code=304, headers={**headers, "ETag": etag})
    return Response(body, media_type=media_type, headers={**headers, "ETag": etag})
