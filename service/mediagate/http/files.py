"""Published files: a stored object as an HTTP response, with ranges and validators."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.errors import FileNotServed
from mediagate.http.conditional import etag_of, is_current
from mediagate.http.downloads import Downloads
from mediagate.http.streamed import StreamedResponse
from mediagate.storage import FOR_EVER, FOR_EVER_S, ObjectInfo, Storage, is_served, streaming
from mediagate.values import CONTENT_TYPES, source_type_of, utcnow

HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "inline",
    "Accept-Ranges": "bytes",
}
"""Headers of every file."""

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


class FileRoutes:
    """The route of published files of one gate; the last one, because it matches every path."""

    def __init__(self, gate: Calls, downloads: Downloads) -> None:
        self._gate = gate
        self._downloads = downloads

    def route(self) -> Route:
        """Return the route."""
        return Route("/{key:path}", self._serve, methods=["GET", "HEAD"])

    async def _serve(self, request: Request) -> Response:
        key, runtime = request.path_params["key"], self._gate.runtime
        left_s = runtime.urls.admit(key, request.query_params, now=utcnow())
        source = runtime.parts.sources.get(source_type_of(key))
        ttl = source.ttl if source else None
        return await serve_file(request, runtime.parts.storage, key, self._downloads, ttl=ttl, private_for_s=left_s)


async def serve_file(
    request: Request,
    storage: Storage,
    key: str,
    downloads: Downloads,
    *,
    ttl: timedelta | None = None,
    private_for_s: int | None = None,
) -> Response:
    """Answer GET or HEAD for a published file: 200, 206, 304 or 416.

    Caches may keep the file for a year, or for the rest of ``ttl`` if it expires. A private file may be kept by a
    browser for ``private_for_s`` and by no shared cache. A ``Range`` with several parts, or a malformed one, is
    answered with the whole file (RFC 9110, section 14.2).

    Raises ``FileNotServed`` for a missing or unpublished file, and ``StorageUnavailable``. The response raises both
    errors and ``TooManyDownloads`` until its first byte is sent.
    """
    info = await storage.stat(key) if is_served(key) and _spelt_plainly(request, key) else None
    if info is None:
        raise FileNotServed("file not found")
    etag = _etag(info)
    headers = {"Cache-Control": _caching(info, ttl, private_for_s), **HEADERS, "ETag": etag}
    if is_current(request, etag):
        return Response(status_code=304, headers=headers)
    headers["Content-Type"] = CONTENT_TYPES.get(key.rpartition(".")[2], "application/octet-stream")
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(info.size)})
    start, length, status = 0, info.size, 200
    wanted = _range(request.headers.get("Range", ""), info.size)
    if wanted is not None and request.headers.get("If-Range", etag) == etag:
        start, length = wanted
        if length <= 0:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{info.size}"})
        status = 206
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{info.size}"
    return StreamedResponse(
        lambda: streaming(storage.stream(key, start=start, length=length)),
        downloads,
        name=key,
        length=length,
        status=status,
        headers={**headers, "Content-Length": str(length)},
    )


def _spelt_plainly(request: Request, key: str) -> bool:
    """Return whether the path has no percent-encoding: no key needs it, so its use is an attempt to evade a check."""
    raw: bytes | None = request.scope.get("raw_path")
    return raw is None or raw.endswith(b"/" + key.encode())


def _caching(info: ObjectInfo, ttl: timedelta | None, private_for_s: int | None) -> str:
    if ttl is None and private_for_s is None:
        return FOR_EVER
    kept_s = FOR_EVER_S if private_for_s is None else private_for_s
    if ttl is not None:
        kept_s = max(0, min(kept_s, int((info.modified + ttl - utcnow()).total_seconds())))
    return f"{'public' if private_for_s is None else 'private'}, max-age={kept_s}"


def _etag(info: ObjectInfo) -> str:
    return etag_of(f"{info.key}\n{info.size}\n{info.modified.isoformat()}".encode())


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Return start and length of a single byte range, ``None`` for any other; below length 1 it is unsatisfiable."""
    match = _RANGE.fullmatch(header)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        return size - length, length
    start, last = int(match[1]), int(match[2] or size)
    if match[2] and last < start:
        return None
    return start, min(last, size - 1) - start + 1
