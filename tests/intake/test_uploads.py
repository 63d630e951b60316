"""Receiving uploads: what is read from a body, what is refused, and that no file stays behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from mediagate.errors import (
    BadUpload,
    RequestError,
    StorageUnavailable,
    UploadTimeout,
    UploadTooLarge,
)
from mediagate.intake import sweep_spool
from mediagate.intake.body import Patience
from mediagate.intake.multipart import FormUpload, receive_upload
from mediagate.intake.spool import receive_source
from tests.support.full_disk import largest_file

pytestmark = pytest.mark.anyio

LIMITS = {"avatar": 1_000_000, "post": 3_000_000}
FORM = {"sourceType": "avatar", "sourceId": "user-1"}
TYPE = {"Content-Type": "multipart/form-data; boundary=B"}


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


HANGS_UP = "the client hangs up"
SILENCE = "nothing more comes"
Chunks = Sequence[bytes | str]


def request_of(chunks: Chunks, headers: dict[str, str], *, asked: list[int] | None = None) -> Request:
    """Return a request with these body chunks; ``asked`` records how many were left at each read."""
    left = list(chunks)

    async def receive() -> Message:
        if asked is not None:
            asked.append(len(left))
        chunk = left.pop(0)
        if chunk == SILENCE:
            await asyncio.sleep(3600)
        if chunk == HANGS_UP:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {"type": "http", "method": "POST", "path": "/upload", "headers": raw, "http_version": "1.1"}, receive
    )


def encoded(data: dict[str, Any], files: Any) -> tuple[bytes, dict[str, str]]:
    """Return body and headers as a real client encodes them."""
    request = httpx.Request("POST", "http://test/upload", data=data, files=files)
    return request.read(), dict(request.headers)


def part(head: str, body: bytes) -> bytes:
    return b"--B\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n"


FIELDS = part('name="sourceType"', b"avatar") + part('name="sourceId"', b"user-1")
IMAGE = part('name="file"; filename="a.jpg"', b"x")
END = b"--B--\r\n"


async def receive(
    spool_dir: Path, *chunks: bytes | str, headers: dict[str, str] = TYPE, idle_s: float = 5
) -> FormUpload:
    request = request_of(chunks, headers)
    async with receive_upload(request, spool_dir, limits=LIMITS, patience=Patience(idle_s)) as upload:
        assert upload.path.parent == spool_dir
        assert upload.path.stat().st_mode & 0o777 == 0o600
        content = upload.path.read_bytes()
        assert len(content) == upload.bytes
        assert hashlib.sha256(content).hexdigest() == upload.sha256
    assert files_in(spool_dir) == []
    return upload


@pytest.mark.parametrize("size", [1, 7, 1000, 65536, 10_000_000])
async def test_multipart_photo_is_received_whatever_the_chunk_size(tmp_path: Path, photo: bytes, size: int) -> None:
    body, headers = encoded({**FORM, "clientReferenceId": "ü-1"}, {"file": ("a.jpg", photo, "image/jpeg")})
    upload = await receive(tmp_path, *(body[i : i + size] for i in range(0, len(body), size)), headers=headers)
    assert upload.sha256 == hashlib.sha256(photo).hexdigest()
    assert upload.filename == "a.jpg"
    assert upload.fields == {**FORM, "clientReferenceId": "ü-1"}
    assert (upload.fields["sourceType"], upload.fields["sourceId"]) == ("avatar", "user-1")


async def test_multipart_file_of_many_batches_is_received_whole(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(2_999_999)
    body, headers = encoded({**FORM, "sourceType": "post"}, {"file": ("a.jpg", content)})
    upload = await receive(tmp_path, *(body[i : i + 65536] for i in range(0, len(body), 65536)), headers=headers)
    assert (upload.bytes, upload.sha256) == (len(content), hashlib.sha256(content).hexdigest())


async def test_multipart_accepts_any_order_and_unknown_fields(tmp_path: Path) -> None:
    unknown = part('name="colour"', b"red") * 2 + part('name=""', b"nameless")
    assert (await receive(tmp_path, b"ignored\r\n" + IMAGE + unknown + FIELDS + END + b"epilogue")).fields == FORM


@pytest.mark.parametrize(
    ("head", "filename"),
    [
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="C:\\fakepath\\cat.jpg"', "cat.jpg"),
        ('filename="a\x07\x00\u202eb.jpg"', "ab.jpg"),
        ('filename="grün %22süß%22.jpg"', 'grün "süß".jpg'),
        ("filename=\"plain.jpg\"; filename*=UTF-8''gr%C3%BCn.jpg", "grün.jpg"),
        ("filename*=iso-8859-1'en'gr%FCn.jpg", "grün.jpg"),
        ("filename*=UTF-8''..%2F..%2Fpasswd", "passwd"),
        ('filename="' + "ä" * 1000 + '"', "ä" * 255),
        ('filename=""', ""),
        ("x=y", ""),
    ],
)
async def test_filename_is_sanitized_and_never_names_the_spool_file(tmp_path: Path, head: str, filename: str) -> None:
    upload = await receive(tmp_path, FIELDS + part(f'name="file"; {head}', b"x") + END)
    assert upload.filename == filename
    assert upload.path.name.startswith("upload-")


TINY_PARTS = b"".join(part(f'name="f{n}"', b"") for n in range(5000))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no complete multipart"),
        (b"not multipart at all", "no complete multipart"),
        (END, "missing from the form: sourceType, sourceId, file"),
        (FIELDS + END, "missing from the form: file"),
        (part('name="sourceType"', b"avatar") + IMAGE + END, "missing from the form: sourceId"),
        (IMAGE + END, "missing from the form: sourceType, sourceId"),
        (FIELDS + IMAGE, "no complete multipart"),
        (FIELDS + IMAGE[:-3], "no complete multipart"),
        (FIELDS + IMAGE + b"--B-", "no complete multipart"),
        (FIELDS + IMAGE + IMAGE + END, "two files"),
        (FIELDS + FIELDS + IMAGE + END, "sourceType is there twice"),
        (FIELDS + part('name="file"; filename="a.jpg"', b"") + END, "empty; send one"),
        (FIELDS + part('name="note"', b"x" * 4097) + IMAGE + END, "'note' has more than 4,096 bytes"),
        (
            FIELDS + part('name="avatar"; filename="a.jpg"', b"x" * 5000) + END,
            "came in the field 'avatar'; send it in the field file",
        ),
        (part('name="sourceId"', b"\xff\xfe") + IMAGE + END, "not UTF-8"),
        (FIELDS + part('name="file"; filename="' + "a" * 10_000 + '"', b"x") + END, "header length"),
        (FIELDS + b"--B\r\n" + b"X-A: b\r\n" * 9 + IMAGE + END, "header count"),
        (FIELDS + b"--B\r\nContent-Type: image/jpeg\r\n\r\nx\r\n" + END, "Content-Disposition"),
        (FIELDS + b"--B\r\nContent-Disposition: attachment\r\n\r\nx\r\n" + END, "Content-Disposition"),
        (FIELDS + b"--B\r\nContent-Length: -5\r\n\r\nx\r\n" + END, "Content-Length"),
        (b"--B\nContent-Disposition: form-data\n\nx\n--B--\n", "no complete multipart"),
        (TINY_PARTS + FIELDS + IMAGE + END, "segment count"),
        (b"x" * 600_000 + b"\r\n" + FIELDS + IMAGE + END, "besides the file"),
        (FIELDS + IMAGE + END + b"x" * 600_000, "besides the file"),
    ],
)
@pytest.mark.parametrize("size", [100_000, 50])
async def test_malformed_multipart_is_refused_with_advice(tmp_path: Path, body: bytes, says: str, size: int) -> None:
    chunks = [body[i : i + size] for i in range(0, len(body), size)] or [b""]
    with pytest.raises(BadUpload, match=says) as caught:
        await receive(tmp_path, *chunks)
    assert not caught.value.close_connection, "the body was read to its end"
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("content_type", "says"),
    [
        (None, "multipart/form-data"),
        ("image/jpeg", "image/jpeg'; send multipart/form-data"),
        ("multipart/mixed; boundary=B", "multipart/form-data"),
        ("multipart/form-data", "boundary"),
        ("multipart/form-data; boundary=", "boundary"),
        ("multipart/form-data; boundary=" + "B" * 71, "1 to 70 characters"),
    ],
)
async def test_content_type_without_multipart_or_boundary_is_refused(
    tmp_path: Path, content_type: str | None, says: str
) -> None:
    with pytest.raises(BadUpload, match=says):
        await receive(tmp_path, b"x", headers={"Content-Type": content_type} if content_type else {})


@pytest.mark.parametrize("length", ["-1", "+5", "1e9", "5, 5", "٣", "9" * 40])
async def test_invalid_content_length_is_refused(tmp_path: Path, length: str) -> None:
    with pytest.raises(BadUpload, match="Content-Length"):
        await receive(tmp_path, FIELDS + IMAGE + END, headers={**TYPE, "Content-Length": length})


def with_file(size: int, fields: bytes = FIELDS, *, fields_last: bool = False) -> bytes:
    file = part('name="file"; filename="a.jpg"', b"x" * size)
    return (file + fields if fields_last else fields + file) + END


async def test_max_bytes_of_a_source_is_exact_to_the_byte(tmp_path: Path) -> None:
    for last in (False, True):
        assert (await receive(tmp_path, with_file(1_000_000, fields_last=last))).bytes == 1_000_000
        with pytest.raises(UploadTooLarge, match="1,000,000 bytes, the limit of avatar"):
            await receive(tmp_path, with_file(1_000_001, fields_last=last))
    other = part('name="sourceType"', b"nobody") + part('name="sourceId"', b"u")
    assert (await receive(tmp_path, with_file(3_000_000, other))).bytes == 3_000_000
    with pytest.raises(UploadTooLarge, match="3,000,000 bytes, the largest limit"):
        await receive(tmp_path, with_file(3_000_001, other))
    assert files_in(tmp_path) == []


async def test_oversized_file_is_refused_while_it_arrives(tmp_path: Path) -> None:
    body = with_file(40_000_000)
    for chunks in ([body], [body[i : i + 65536] for i in range(0, len(body), 65536)]):
        request = request_of([*chunks, *[b"x" * 1_000_000] * 200], TYPE)
        with pytest.raises(UploadTooLarge) as caught:
            async with receive_upload(request, tmp_path, limits=LIMITS, patience=Patience(5)):
                pass
        assert caught.value.close_connection
        assert caught.value.headers["Connection"] == "close"
        assert files_in(tmp_path) == []


async def test_content_length_above_every_limit_is_refused_unread(tmp_path: Path) -> None:
    for length, headers in ((100_000_000, {}), (3_600_000, {"Expect": "100-continue"})):
        asked: list[int] = []
        request = request_of([b"x"], {**TYPE, "Content-Length": str(length), **headers}, asked=asked)
        with pytest.raises(UploadTooLarge) as caught:
            async with receive_upload(request, tmp_path, limits=LIMITS, patience=Patience(5)):
                pass
        assert asked == []
        assert caught.value.close_connection


async def test_content_length_is_checked_again_once_the_source_is_known(tmp_path: Path) -> None:
    asked: list[int] = []
    body = with_file(2_500_000)
    chunks = [body[:300], *(body[i : i + 10_000] for i in range(300, len(body), 10_000))]
    request = request_of(chunks, {**TYPE, "Content-Length": str(len(body))}, asked=asked)
    with pytest.raises(UploadTooLarge, match="limit of avatar") as caught:
        async with receive_upload(request, tmp_path, limits=LIMITS, patience=Patience(5)):
            pass
    assert not caught.value.close_connection, "the rest is small enough to be read and discarded"
    assert asked[-1] == 1


async def test_client_disconnect_leaves_no_file(tmp_path: Path) -> None:
    body = with_file(900_000)
    for cut in (0, 10, 600, 700_000, len(body) - 1):
        with pytest.raises(ClientDisconnect):
            await receive(tmp_path, body[:cut], HANGS_UP)
        assert files_in(tmp_path) == []


async def test_silent_client_is_timed_out_and_leaves_no_file(tmp_path: Path) -> None:
    body = with_file(900_000)
    for sent in ([], [body[:100]], [body[:700_000]]):
        with pytest.raises(UploadTimeout, match="send it again") as caught:
            await receive(tmp_path, *sent, SILENCE, idle_s=0.05)
        assert (caught.value.status, caught.value.code, caught.value.retryable) == (408, "upload_timeout", True)
        assert caught.value.close_connection
        assert files_in(tmp_path) == []


async def test_full_disk_raises_storage_unavailable_and_leaves_no_file(tmp_path: Path) -> None:
    large = with_file(2_900_000, part('name="sourceType"', b"post") + part('name="sourceId"', b"u"))
    chunks = [large[i : i + 65536] for i in range(0, len(large), 65536)]
    for most in (0, 600_000, 1_500_000, 2_899_999):
        with largest_file(most), pytest.raises(StorageUnavailable, match="cannot be kept at the moment"):
            await receive(tmp_path, *chunks)
        assert files_in(tmp_path) == []
    assert (await receive(tmp_path, with_file(900_000))).bytes == 900_000


async def test_spool_receives_only_one_batch_while_another_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the disk stalls, the client is held up and memory stays bounded."""
    size, piece = 2_900_000, 10_000
    body = with_file(size, part('name="sourceType"', b"post") + part('name="sourceId"', b"u"))
    chunks = [body[i : i + piece] for i in range(0, len(body), piece)]
    stalled, go_on = threading.Event(), threading.Event()
    write = os.write

    def slow(descriptor: int, data: bytes) -> int:
        stalled.set()
        assert go_on.wait(20)
        return write(descriptor, data)

    asked: list[int] = []
    request = request_of(chunks, TYPE, asked=asked)
    monkeypatch.setattr(os, "write", slow)

    async def run() -> int:
        async with receive_upload(request, tmp_path, limits=LIMITS, patience=Patience(5)) as upload:
            assert upload.path.stat().st_size == size
            return upload.bytes

    receiving = asyncio.create_task(run())
    assert await asyncio.to_thread(stalled.wait, 20)
    await asyncio.sleep(0.3)
    received = len(asked) * piece
    go_on.set()
    assert await receiving == size
    assert 1_100_000 < received < 2_200_000, "one batch is being written and one waits"


async def test_cancelled_upload_leaves_no_file(tmp_path: Path) -> None:
    """Cancellation comes at many moments, some of them while a thread writes."""
    body = with_file(2_900_000, part('name="sourceType"', b"post") + part('name="sourceId"', b"u"))
    chunks = [body[i : i + 65536] for i in range(0, len(body), 65536)]
    for n in range(30):
        task = asyncio.create_task(receive(tmp_path, *chunks))
        for _ in range(n * 3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for _ in range(1000):
            if not files_in(tmp_path):
                break
            await asyncio.sleep(0.01)
        assert files_in(tmp_path) == []


async def test_receive_upload_leaves_no_file_when_its_block_raises(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        async with receive_upload(
            request_of([FIELDS + IMAGE + END], TYPE), tmp_path / "new", limits=LIMITS, patience=Patience(5)
        ):
            assert len(files_in(tmp_path / "new")) == 1
            raise RuntimeError
    assert files_in(tmp_path / "new") == []
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


async def test_garbled_multipart_is_received_or_raises_a_request_error(tmp_path: Path) -> None:
    random_ = random.Random(7)
    whole = part('name="file"; filename="a.jpg"; filename*=UTF-8\'\'a%20b', b"x" * 40)
    whole = FIELDS + whole + b"--B\r\nContent-Disposition: form-data; name=n\r\nContent-Length: 1\r\n\r\n1\r\n" + END
    tokens = [
        b"\r\n",
        b"\n",
        b"--B",
        b"--B--",
        b":",
        b"\0",
        b"\xff",
        b'"',
        b"name=",
        b"; ",
        b"%",
        b"\\",
        b" ",
        b"9" * 30,
    ]
    outcomes = set()
    for _ in range(1500):
        body = bytearray(whole)
        for _ in range(random_.randint(1, 4)):
            at = random_.randrange(len(body))
            match random_.randrange(4):
                case 0:
                    body[at] = random_.randrange(256)
                case 1:
                    body[at:at] = random_.choice(tokens)
                case 2:
                    del body[at : at + random_.randint(1, 30)]
                case _:
                    body[at:at] = body[random_.randrange(len(body)) :][:60]
        cut = random_.randrange(len(body))
        try:
            await receive(tmp_path, bytes(body[:cut]), bytes(body[cut:]))
            outcomes.add("received")
        except RequestError as exc:
            outcomes.add(exc.code)
    assert {"received", "bad_upload"} <= outcomes
    assert files_in(tmp_path) == []


async def chunked(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


@pytest.mark.parametrize("size", [1, 2_000_000])
async def test_spool_accepts_bytes_paths_files_and_async_iterators(tmp_path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    local, folder = tmp_path / "local", tmp_path / "spool"
    local.write_bytes(content)
    opened = BytesIO(content)
    for source in (content, local, opened, chunked(content)):
        async with receive_source(source, folder, max_bytes=size, check_head=lambda head: None) as file:
            assert (file.bytes, file.sha256) == (size, hashlib.sha256(content).hexdigest())
            assert file.path.read_bytes() == content
            assert file.path.stat().st_mode & 0o777 == 0o600
            assert file.path != local
        assert files_in(folder) == []
    assert local.read_bytes() == content
    assert not opened.closed


async def test_spool_refuses_oversized_empty_and_unsupported_sources(tmp_path: Path) -> None:
    local, folder = tmp_path / "local", tmp_path / "spool"
    local.write_bytes(b"x" * 3_000_000)
    sources: list[Callable[[], Any]] = [
        local.read_bytes,
        lambda: local,
        lambda: BytesIO(local.read_bytes()),
        lambda: chunked(local.read_bytes()),
    ]
    for source in sources:
        with pytest.raises(UploadTooLarge, match="2,999,999 bytes"):
            await spooled(source(), folder, 2_999_999)
    for empty in (b"", BytesIO(), chunked(b"")):
        with pytest.raises(BadUpload, match="empty; send one"):
            await spooled(empty, folder, 10)
    no_bytes: list[Any] = [StringIO("text"), "text", 5, None]
    for wrong in no_bytes:
        with pytest.raises(TypeError, match="bytes"):
            await spooled(wrong, folder, 10)
    with pytest.raises(FileNotFoundError):
        await spooled(tmp_path / "missing", folder, 10)
    with largest_file(1_000_000), pytest.raises(StorageUnavailable):
        await spooled(local, folder, 10_000_000)
    assert files_in(folder) == []


async def spooled(source: Any, folder: Path, max_bytes: int) -> None:
    async with receive_source(source, folder, max_bytes=max_bytes, check_head=lambda head: None):
        pass


def test_sweep_spool_removes_only_old_upload_files(tmp_path: Path) -> None:
    assert sweep_spool(tmp_path / "missing", older_than_s=0) == 0
    for name in ("upload-old", "upload-new", "something-else"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "upload-folder").mkdir()
    hour_ago = time.time() - 3600
    for name in ("upload-old", "something-else", "upload-folder"):
        os.utime(tmp_path / name, (hour_ago, hour_ago))
    assert sweep_spool(tmp_path, older_than_s=1800) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["something-else", "upload-folder", "upload-new"]
