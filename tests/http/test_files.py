"""Published files over HTTP: ranges, validators, headers, and 404 for every other path."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from mediagate import Settings
from mediagate.errors import MediagateError, ObjectNotFound, StorageUnavailable
from mediagate.http import problem
from mediagate.http.downloads import Downloads
from mediagate.http.files import serve_file
from mediagate.storage import FilesystemStorage, MemoryStorage, ObjectInfo, Storage

pytestmark = pytest.mark.anyio

KEY = "media/avatar/user-1/med_1/sm.webp"
BODY = bytes(range(256)) * 4000


def app_of(storage: Storage) -> ASGIApp:
    downloads = Downloads(Settings())

    async def file(request: Request) -> Response:
        return await serve_file(request, storage, request.path_params["key"], downloads)

    served = Router([Mount("/image-pipeline", routes=[Route("/{key:path}", file, methods=["GET", "HEAD"])])])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await served(scope, receive, send)
        except MediagateError as exc:
            await problem(exc)(scope, receive, send)

    return app


def client_of(storage: Storage) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app_of(storage)), base_url="http://test/image-pipeline/")


@pytest.fixture
async def storage(tmp_path: Path) -> Storage:
    storage = FilesystemStorage(tmp_path)
    await storage.put(KEY, BODY)
    return storage


async def test_file_response_has_body_and_headers_on_get_and_head(storage: Storage) -> None:
    async with client_of(storage) as client:
        answer = await client.get(KEY)
        head = await client.head(KEY)
    assert (answer.status_code, head.status_code) == (200, 200)
    assert (answer.content, head.content) == (BODY, b"")
    assert dict(answer.headers) == {
        "cache-control": "public, max-age=31536000, immutable",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "content-disposition": "inline",
        "accept-ranges": "bytes",
        "etag": answer.headers["etag"],
        "content-type": "image/webp",
        "content-length": str(len(BODY)),
    }
    assert dict(head.headers) == dict(answer.headers)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("original.jpg", "image/jpeg"),
        ("a.png", "image/png"),
        ("a.avif", "image/avif"),
        ("a.gif", "image/gif"),
        ("a.heic", "image/heic"),
        ("a.html", "application/octet-stream"),
        ("a.svg", "application/octet-stream"),
        ("png", "application/octet-stream"),
    ],
)
async def test_content_type_of_non_image_file_is_octet_stream(name: str, content_type: str) -> None:
    storage = MemoryStorage()
    await storage.put(f"originals/avatar/u/m/{name}", b"<script>alert(1)</script>")
    async with client_of(storage) as client:
        assert (await client.get(f"originals/avatar/u/m/{name}")).headers["content-type"] == content_type


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, len(BODY)),
        ("bytes=100-199", 100, 200),
        ("Bytes= 100-199 ", 100, 200),
        ("bytes=300000-900000", 300_000, 900_001),
        (f"bytes={len(BODY) - 1}-", len(BODY) - 1, len(BODY)),
        ("bytes=5-999999999999", 5, len(BODY)),
        ("bytes=-1", len(BODY) - 1, len(BODY)),
        ("bytes=-500", len(BODY) - 500, len(BODY)),
        ("bytes=-999999999", 0, len(BODY)),
    ],
)
async def test_range_request_answers_206_with_the_range(storage: Storage, asked: str, start: int, end: int) -> None:
    async with client_of(storage) as client:
        answer = await client.get(KEY, headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == BODY[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(BODY)}"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", [f"bytes={len(BODY)}-", "bytes=9999999999-", "bytes=-0", "bytes=5000000-6000000"])
async def test_range_beyond_the_end_answers_416(storage: Storage, asked: str) -> None:
    async with client_of(storage) as client:
        answer = await client.get(KEY, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{len(BODY)}"
    assert "immutable" not in answer.headers.get("cache-control", "")


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6",
        pytest.param("bytes=" + "0-1," * 5000 + "0-1", id="5001 ranges"),
        "bytes=5-2",
        "bytes=-",
        "bytes=",
        "bytes=a-b",
        "bytes=1.5-2",
        "bytes=+1-2",
        "bytes=٣-٤",
        "bytes=0x1-0x2",
        "items=0-1",
        "0-1",
        pytest.param("bytes=" + "9" * 5000 + "-", id="5000 digits"),
    ],
)
async def test_multiple_or_invalid_range_answers_200_with_the_whole_file(storage: Storage, asked: str) -> None:
    async with client_of(storage) as client:
        answer = await client.get(KEY, headers=[(b"Range", asked.encode())])
    assert (answer.status_code, answer.content) == (200, BODY)
    assert "content-range" not in answer.headers


async def test_empty_file_answers_200_and_any_range_of_it_416(storage: Storage) -> None:
    await storage.put("media/empty.webp", b"")
    async with client_of(storage) as client:
        answer = await client.get("media/empty.webp")
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
        for asked in ("bytes=0-", "bytes=-5"):
            assert (await client.get("media/empty.webp", headers={"Range": asked})).status_code == 416


async def test_etag_decides_if_none_match_and_if_range(storage: Storage) -> None:
    async with client_of(storage) as client:
        etag = (await client.get(KEY)).headers["etag"]
        assert etag.startswith('"') and etag.endswith('"')
        for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            for answer in (
                await client.get(KEY, headers={"If-None-Match": condition, "Range": "bytes=0-0"}),
                await client.head(KEY, headers={"If-None-Match": condition}),
            ):
                assert (answer.status_code, answer.content) == (304, b"")
                assert answer.headers["etag"] == etag
        assert (await client.get(KEY, headers={"If-None-Match": '"other"'})).status_code == 200
        ranged = {"Range": "bytes=0-9"}
        assert (await client.get(KEY, headers={**ranged, "If-Range": etag})).status_code == 206
        for stale in ('"other"', f"W/{etag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
            assert (await client.get(KEY, headers={**ranged, "If-Range": stale})).status_code == 200
        assert (await client.head(KEY, headers=ranged)).status_code == 200, "RFC 9110: ranges are for GET"
        await storage.put(KEY, b"shorter")
        assert (await client.get(KEY)).headers["etag"] != etag
        await storage.put("media/b.webp", BODY)
        assert (await client.get("media/b.webp")).headers["etag"] != etag


NOT_SERVED = [
    "staging/job_1",
    "media/../staging/job_1",
    "media/%2e%2e/staging/job_1",
    "media/%2E%2E/staging/job_1",
    "media%2f..%2fstaging%2fjob_1",
    "%73taging/job_1",
    "media%2favatar%2fuser-1%2fmed_1%2fsm.webp",
    "media/avatar/user-1/med_1/sm%2ewebp",
    "media//avatar/user-1/med_1/sm.webp",
    "/media/avatar/user-1/med_1/sm.webp",
    "media/avatar/user-1/med_1/sm.webp/",
    "media/avatar/user-1/med_1/sm.webp%00",
    "media/avatar/user-1/med_1/sm.webp%0a",
    "media\\avatar\\user-1\\med_1\\sm.webp",
    "media/./avatar/user-1/med_1/sm.webp",
    "media/avatar",
    "media/",
    "media",
    "mediagate/x",
    "MEDIA/avatar/user-1/med_1/sm.webp",
    ".tmp/x",
    "",
    "etc/passwd",
    "media/none.webp",
]


async def test_unpublished_and_malformed_paths_answer_404(storage: Storage, tmp_path: Path) -> None:
    await storage.put("staging/job_1", b"not approved yet")
    await storage.put("mediagate/x", b"x")
    (tmp_path / ".tmp" / "x").write_bytes(b"x")
    with serving(storage) as port:
        for method in ("GET", "HEAD"):
            assert answer_of(port, method, KEY).startswith(b"HTTP/1.1 200")
            for path in NOT_SERVED:
                answer = answer_of(port, method, path)
                assert answer.startswith(b"HTTP/1.1 404"), path
                assert b"not approved" not in answer


@contextmanager
def serving(storage: Storage) -> Iterator[int]:
    """Run a real uvicorn on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app_of(storage), log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def answer_of(port: int, method: str, path: str) -> bytes:
    """Send a path unchanged; an HTTP client would normalize it."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        line = f"{method} /image-pipeline/{path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        connection.sendall(line.encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


class GoesAway(MemoryStorage):
    """A storage whose streams end or raise after the first chunk."""

    def __init__(self, how: MediagateError | None) -> None:
        super().__init__()
        self._how = how

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        async for chunk in super().stream(key, start=start, length=length):
            yield chunk
            break
        if self._how is not None:
            raise self._how


@pytest.mark.parametrize(
    "how",
    [StorageUnavailable("it went down"), ObjectNotFound("it was deleted"), None],
    ids=["unavailable", "deleted", "truncated"],
)
async def test_file_response_is_cut_short_when_the_storage_stream_ends_early(
    how: MediagateError | None, caplog: pytest.LogCaptureFixture
) -> None:
    storage = GoesAway(how)
    await storage.put(KEY, BODY)
    with serving(storage) as port:
        answer = answer_of(port, "GET", KEY)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"content-length: {len(BODY)}".encode() in head.lower()
    assert 0 < len(body) < len(BODY)
    assert [r.name for r in caplog.records if KEY in r.getMessage()] == ["mediagate.files"]
    assert not [r for r in caplog.records if r.exc_info]


async def test_file_deleted_before_the_first_byte_answers_404(tmp_path: Path) -> None:
    class Vanishing(FilesystemStorage):
        async def stat(self, key: str) -> ObjectInfo | None:
            info = await super().stat(key)
            await self.delete([key])
            return info

    storage = Vanishing(tmp_path)
    await storage.put(KEY, BODY)
    async with client_of(storage) as client:
        answer = await client.get(KEY)
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")


async def test_file_response_answers_503_when_storage_is_unavailable(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path / "root")
    await storage.put(KEY, BODY)
    (tmp_path / "root").rename(tmp_path / "away")
    async with client_of(storage) as client:
        answer = await client.get(KEY)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")


async def test_client_disconnect_logs_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    storage = FilesystemStorage(tmp_path)
    await storage.put(KEY, b"x" * 30_000_000)
    with serving(storage) as port:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(f"GET /image-pipeline/{KEY} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
                assert connection.recv(1000)
        assert answer_of(port, "GET", KEY).endswith(b"x" * 1000)
    assert not [r for r in caplog.records if r.exc_info or r.levelno >= logging.WARNING]
