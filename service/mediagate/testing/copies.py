"""The conformance check of ``Storage.copy``."""

from __future__ import annotations

import secrets

from mediagate.errors import ObjectChanged, ObjectNotFound
from mediagate.storage import ObjectInfo, Storage
from mediagate.testing.record_samples import expect


async def check_copies(storage: Storage, root: str) -> None:
    """Check the promises of ``copy`` below a separate prefix."""
    key, to, body = f"{root}/copy/from", f"{root}/copy/over/there", secrets.token_bytes(700_000)
    await storage.put(to, b"was there before")
    await storage.put(key, body)
    seen = await _seen(storage, key)
    for _ in range(2):
        await storage.copy(seen, to)
        expect(await storage.get(to) == body, "copy() must store the same bytes under the other key")
        expect(await storage.stat(key) == seen, "copy() must not change its source")
    other = secrets.token_bytes(len(body))
    await storage.put(key, other)
    expect(await storage.get(to) == body, "a copy must not change with its source")
    refused = await _refusal(storage, seen, to)
    expect(refused is ObjectChanged, "copy() must raise ObjectChanged if the object has changed since stat()")
    found = await storage.stat(to)
    kept = found is None or await storage.get(to) == body
    expect(kept, "a refused copy() must leave the previous object, or nothing")
    seen = await _seen(storage, key)
    await storage.copy(seen, to)
    expect(await storage.get(to) == other, "copy() must replace the previous object")
    await storage.delete([key])
    refused = await _refusal(storage, seen, to)
    expect(refused is ObjectNotFound, "copy() must raise ObjectNotFound for a missing object")
    expect(await storage.get(to) == other, "a copy must not be deleted with its source")


async def check_whole_copy(storage: Storage, key: str, body: bytes) -> None:
    """Check that a big object is copied completely."""
    await storage.copy(await _seen(storage, key), f"{key}-copy")
    expect(await storage.get(f"{key}-copy") == body, "a big object must be copied completely")


async def _seen(storage: Storage, key: str) -> ObjectInfo:
    info = await storage.stat(key)
    if info is None:
        raise AssertionError(f"stat() must find an object after put() ({key})")
    return info


async def _refusal(storage: Storage, source: ObjectInfo, key: str) -> type[Exception] | None:
    try:
        await storage.copy(source, key)
    except (ObjectChanged, ObjectNotFound) as exc:
        return type(exc)
    return None
