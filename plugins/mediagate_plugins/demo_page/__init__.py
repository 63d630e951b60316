"""A page to try a gate with: drop a picture, watch it go through, see its sizes and its placeholder.

For development and demonstrations; it needs no build step and loads nothing from elsewhere.
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

from mediagate import Action, MediaGate, Source, form_hints, owner_seen_by, plugin
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

    Pictures may come from the gate, from ``public_url`` and ``public_base_url``, and from ``image_origins``, such as
    ``https://cdn.example``, where a storage of your own publishes; ``upload_origins`` are those for which a storage
    signs the URLs of direct uploads. ``scores`` shows the score of every label to callers that may read the job, which
    no other route tells: with scores, a caller can alter a picture until it just passes. On loopback addresses a gate
    with this page and without ``authorize`` answers only under the host names of this machine and those of the setting
    ``allowed_hosts``. Raises ``PluginError`` for a path or an origin that is none.
    """
    if not PATH.fullmatch(path):
        raise PluginError(f"demo_page: path {path!r} must begin and end with a slash, such as '/try/'")
    named = [url for url in (gate.settings.public_url, gate.settings.public_base_url) if url]
    headers = _headers([*map(_origin, named), *image_origins], upload_origins)
    sources = {name: _described(source) for name, source in gate.sources.items()}
    # The way up to the mount is relative, so that the page also works behind a proxy that takes a prefix away.
    page = (
        (FOLDER / "page.html")
        .read_text(encoding="utf-8")
        .replace("{{root}}", "../" * (path.count("/") - 1))
        .replace("{{sources}}", html.escape(json.dumps(sources)))
        .replace("{{scores}}", "yes" if scores else "no")
    )
    files = {file.name: file.read_bytes() for file in FOLDER.iterdir() if file.suffix in TYPES}

    async def show(request: Request) -> Response:
        return _answer(request, page.encode(), "text/html", headers)

    async def send(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise FileNotServed(f"the demo page has no file {name!r}")
        return _answer(request, files[name], TYPES[Path(name).suffix], headers)

    async def tell_scores(request: Request) -> Response:
        owner = owner_seen_by(await gate.authorize(request, Action.READ))
        status = await gate.get_status(request.path_params["job_id"], owner=owner)
        told = dict(status.job.verdict.scores) if status.job.verdict is not None else {}
        return JSONResponse({"scores": told}, headers={"Cache-Control": "no-store"})

    gate.guard_hosts()
    gate.add_route(path, show, methods=["GET"])
    gate.add_route(f"{path}demo/{{name}}", send, methods=["GET"])
    if scores:
        gate.add_route(f"{path}demo/scores/{{job_id}}", tell_scores, methods=["GET"])


def _described(source: Source) -> dict[str, object]:
    """Return what the page knows of a source: its limit and formats, in the words of the gate's own answers."""
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
            raise PluginError(f"demo_page: {origin!r} is no origin; write scheme and host, such as https://cdn.example")
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
