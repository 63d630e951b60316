"""The conformance check of a storage."""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from mediagate.errors import ObjectNotFound
from mediagate.storage import ObjectInfo, Storage
from mediagate.testing.copies import check_copies, check_whole_copy
from mediagate.values import staging_key

BIG = 20 * 1024 * 1024
CLOCK_SKEW = timedelta(minutes=5)

HOSTILE_KEYS = (
    "",
    "/",
    "/etc/passwd",
    "..",
    "../outside",
    "media/../../outside",
    "media/./file.webp",
    "media/.hidden",
    ".tmp/file",
    "media//file.webp",
    "media/file.webp/",
    "media\\file.webp",
    "media/a\x00b.webp",
    "media/a\nb.webp",
    "media/file.webp\n",
    "media/%2e%2e/file.webp",
    "media/a b.webp",
    "media/ä.webp",
    "C:/file.webp",
    "media/" + "a" * 256,
    "a/" * 600 + "a",
)
"""Keys that every method of a storage must refuse with ``ValueError``."""


async def check_storage(storage: Storage) -> None:
    """Check all promises of the protocol on a storage; raises ``AssertionError`` with the broken one.

    Works below a new prefix and deletes its objects; transfers about 100 MB.
    """
    root = staging_key(f"check-{secrets.token_hex(8)}")
    try:
        await _round_trip(storage, root)
        await _ranges(storage, root)
        await _missing(storage, root)
        await _listing(storage, root)
        await check_copies(storage, root)
        await _deleting(storage, root)
        await _hostile(storage)
        await _big(storage, root)
        await _atomic(storage, root)
        await _same_key(storage, root)
        await _put_while_deleting(storage, root)
        await _url(storage)
        await _presigned(storage, root)
        _expect(await storage.check(), "check() must return a line with its result")
    finally:
        await storage.delete([info.key async for info in storage.list(root + "/")])
    left = [info.key async for info in storage.list(root + "/")]
    _expect(not left, f"list() must be empty after delete() of all listed keys: {left}")


def _expect(condition: object, promise: str) -> None:
    # No assert statement: the check must also work under ``python -O``.
    if not condition:
        raise AssertionError(promise)


async def _read(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def _round_trip(storage: Storage, root: str) -> None:
    key = f"{root}/a/b.c/round-trip_1.webp"
    for body in (b"first", b"", secrets.token_bytes(100_000)):
        await storage.put(key, body)
        size = len(body)
        _expect(await storage.get(key) == body, f"get() must return the body of the last put() ({size} bytes)")
        _expect(await _read(storage.stream(key)) == body, f"stream() must yield the complete object ({size} bytes)")
        info = await storage.stat(key)
        _expect(info is not None, "stat() must find an object after put()")
        if info is not None:
            _expect(info.key == key and info.size == len(body), f"stat() must return key and size, got {info}")
            _expect(info.modified.tzinfo is not None, "stat().modified must have a time zone")
            age = abs(datetime.now(UTC) - info.modified)
            _expect(age < CLOCK_SKEW, f"stat().modified must be the time of put(), it is {age} off")
    with tempfile.TemporaryDirectory() as folder:
        local = anyio.Path(folder) / "local"
        await local.write_bytes(b"from a file")
        await storage.put(key, Path(local))
        _expect(await storage.get(key) == b"from a file", "put() of a path must store the file's content")
        left = await local.exists() and await local.read_bytes() == b"from a file"
        _expect(left, "put() must not move or change the local file")
        await local.write_bytes(b"written to later")
        _expect(await storage.get(key) == b"from a file", "an object must not change with its local file")


async def _ranges(storage: Storage, root: str) -> None:
    key, body = f"{root}/ranges", secrets.token_bytes(700_000)
    await storage.put(key, body)
    for start, length in ((0, 1), (0, 0), (1, 5), (699_999, 1), (300_000, None), (9, 600_000), (699_990, 50)):
        got = await _read(storage.stream(key, start=start, length=length))
        wanted = body[start:] if length is None else body[start : start + length]
        _expect(got == wanted, f"stream({start=}, {length=}) must yield exactly these bytes, got {len(got)}")
    _expect(await _read(storage.stream(key, start=len(body))) == b"", "stream() from the end must yield nothing")
    # A reader that stops half-way (a client that hangs up) must leave the storage usable.
    await anext(storage.stream(key))
    _expect(await storage.get(key) == body, "an abandoned stream() must have no side effects")


async def _missing(storage: Storage, root: str) -> None:
    await storage.put(f"{root}/folder/object", b"x")
    for name in ("nothing", "folder", "no/such/folder/object", "folder/object/below"):
        key = f"{root}/{name}"
        _expect(await storage.stat(key) is None, f"stat() must return None for a missing object ({key})")
        for method, read in (("get", storage.get), ("stream", lambda k: _read(storage.stream(k)))):
            try:
                await read(key)
            except ObjectNotFound:
                continue
            raise AssertionError(f"{method}() must raise ObjectNotFound for a missing object ({key})")


async def _listing(storage: Storage, root: str) -> None:
    inside = {f"{root}/list/one/{i:04}.webp": b"x" * (i % 3) for i in range(20)}
    inside[f"{root}/list/one/deep/er/2"] = b"yy"
    siblings = {f"{root}/list/one-more/3": b"", f"{root}/list/one.webp": b"", f"{root}/list/on/4": b""}
    async with anyio.create_task_group() as tasks:
        for key, body in (inside | siblings).items():
            tasks.start_soon(storage.put, key, body)
    found = {info.key: info.size async for info in storage.list(f"{root}/list/one/")}
    wanted = {key: len(body) for key, body in inside.items()}
    _expect(found == wanted, f"list() must return exactly the keys and sizes below the prefix: {found}")
    _expect(not [i async for i in storage.list(f"{root}/list/no/")], "list() of an unused prefix must be empty")
    all_of_it = [info.key async for info in storage.list(f"{root}/list/")]
    _expect(sorted(all_of_it) == sorted(inside | siblings), "list() must return each object exactly once")


async def _deleting(storage: Storage, root: str) -> None:
    kept, gone = f"{root}/delete/folder/kept", [f"{root}/delete/folder/gone", f"{root}/delete/alone/gone"]
    for key in (kept, *gone):
        await storage.put(key, b"x")
    for _ in range(2):
        try:
            await storage.delete([*gone, f"{root}/delete/never/there"])
        except Exception as exc:
            raise AssertionError("delete() must ignore missing objects") from exc
        for key in gone:
            _expect(await storage.stat(key) is None, f"delete() must remove the object ({key})")
    await storage.delete([])
    await storage.delete(iter([f"{root}/delete/folder"]))
    _expect(await storage.get(kept) == b"x", "delete() must not affect other objects")
    await storage.put(gone[1], b"back")
    _expect(await storage.get(gone[1]) == b"back", "a deleted key must be reusable")


async def _hostile(storage: Storage) -> None:
    for key in HOSTILE_KEYS:
        await _refuses(storage, key)
    await _refused("list() of a prefix without a trailing slash", lambda: _drained(storage, "media"))


async def _refuses(storage: Storage, key: str) -> None:
    async def url() -> None:
        storage.url(key)

    async def presign_get() -> None:
        storage.presign_get(key, signed_at=datetime.now(UTC), expires_s=60)

    attempts: dict[str, Callable[[], Awaitable[object]]] = {
        "put": lambda: storage.put(key, b"x"),
        "get": lambda: storage.get(key),
        "stream": lambda: _read(storage.stream(key)),
        "stat": lambda: storage.stat(key),
        "copy of": lambda: storage.copy(ObjectInfo(key, 1, datetime.now(UTC)), "staging/fine"),
        "copy to": lambda: storage.copy(ObjectInfo("staging/fine", 1, datetime.now(UTC)), key),
        "delete": lambda: storage.delete(["media/fine", key]),
        "list": lambda: _drained(storage, key + "/"),
        "url": url,
        "presign_get": presign_get,
        "presign_put": lambda: storage.presign_put(key, content_type="image/png", size=1, expires_s=60),
    }
    for method, attempt in attempts.items():
        await _refused(f"{method}() of the key {key[:80]!r}", attempt)


async def _refused(call: str, attempt: Callable[[], Awaitable[object]]) -> None:
    try:
        await attempt()
    except ValueError:
        return
    raise AssertionError(f"{call} must raise ValueError")


async def _drained(storage: Storage, prefix: str) -> None:
    async for _ in storage.list(prefix):
        pass


async def _big(storage: Storage, root: str) -> None:
    body = secrets.token_bytes(BIG)
    with tempfile.TemporaryDirectory() as folder:
        local = anyio.Path(folder) / "big"
        await local.write_bytes(body)
        await storage.put(f"{root}/big", Path(local))
    digest, largest = hashlib.sha256(), 0
    async for chunk in storage.stream(f"{root}/big"):
        digest.update(chunk)
        largest = max(largest, len(chunk))
    _expect(digest.digest() == hashlib.sha256(body).digest(), "stream() must yield a big object unchanged")
    await check_whole_copy(storage, f"{root}/big", body)
    _expect(largest <= BIG // 4, f"stream() must yield a big object in pieces, the largest had {largest:,} bytes")


async def _atomic(storage: Storage, root: str) -> None:
    key, bodies = f"{root}/atomic", [bytes([n]) * (1_000_000 + n) for n in range(4)]
    await storage.put(key, bodies[0])
    done = anyio.Event()
    torn: list[int] = []

    async def read() -> None:
        while not done.is_set():
            body = await storage.get(key)
            if body not in bodies:
                torn.append(len(body))
            # A storage in memory may never suspend, so the other tasks need this checkpoint.
            await checkpoint()

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(read)
        for n in range(12):
            await storage.put(key, bodies[n % 4])
            await checkpoint()
        done.set()
    _expect(not torn, f"a reader must never see a half-written object, but one saw {torn[:1]} bytes")


async def _same_key(storage: Storage, root: str) -> None:
    key, bodies = f"{root}/same/key", [bytes([n]) * (500_000 + n) for n in range(8)]
    async with anyio.create_task_group() as tasks:
        for body in bodies:
            tasks.start_soon(storage.put, key, body)
    _expect(await storage.get(key) in bodies, "concurrent put() of one key must store exactly one of the bodies")
    found = [info.key async for info in storage.list(f"{root}/same/")]
    _expect(found == [key], f"concurrent put() of one key must leave no other object: {found}")


async def _put_while_deleting(storage: Storage, root: str) -> None:
    async def put(n: int) -> None:
        await storage.put(f"{root}/busy/folder/{n}", b"x")
        await storage.delete([f"{root}/busy/folder/{n}"])
        await storage.put(f"{root}/busy/folder/{n}", b"kept")

    async with anyio.create_task_group() as tasks:
        for n in range(30):
            tasks.start_soon(put, n)
    found = [info async for info in storage.list(f"{root}/busy/folder/")]
    _expect(len(found) == 30, f"put() must not be undone by a concurrent delete(): {len(found)} of 30 objects remain")


async def _url(storage: Storage) -> None:
    key = "media/avatar/user-1/med_1/sm.webp"
    url = storage.url(key)
    absolute = url is None or (url.startswith(("https://", "http://")) and url.endswith("/" + key))
    _expect(absolute, f"url() must be absolute and end with the key, or None: {url}")
    _expect(storage.url("staging/job_1") is None, "url() of an unpublished object must be None")


async def _presigned(storage: Storage, root: str) -> None:
    key, signed_at = f"{root}/presigned", datetime.now(UTC).replace(microsecond=0)
    read = storage.presign_get(key, signed_at=signed_at, expires_s=60)
    again = storage.presign_get(key, signed_at=signed_at, expires_s=60)
    _expect(read == again, "presign_get() must return the same URL for the same arguments")
    write = await storage.presign_put(key, content_type="image/png", size=1, expires_s=60)
    for method, signed in (("presign_get", read), ("presign_put", write)):
        if signed is not None:
            _expect(signed.url.startswith(("https://", "http://")), f"{method}() must return an absolute URL")
            _expect(signed.expires_at.tzinfo is not None, f"{method}().expires_at must have a time zone")
            late = signed.expires_at > datetime.now(UTC) + timedelta(seconds=60)
            _expect(not late, f"{method}() must return a URL that expires within expires_s: {signed.expires_at}")
