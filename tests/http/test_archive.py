"""Archives of outputs: entries of any size."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from zipfile import ZipFile

import pytest

from mediagate.errors import ObjectNotFound
from mediagate.http.archive import zipped
from mediagate.storage import MemoryStorage

NOW = datetime(2026, 11, 30, 12, 0, 2, tzinfo=UTC)


@pytest.mark.anyio
async def test_archive_holds_the_bytes_of_every_object() -> None:
    storage = MemoryStorage()
    contents = {"outputs/a": b"", "outputs/b": b"x" * 300_000, "outputs/c": b"PK\x03\x04" * 10}
    for key, content in contents.items():
        await storage.put(key, content)
    files = [(key, f"{key[-1]}.webp") for key in contents]
    made = b"".join([piece async for piece in zipped(storage, files, NOW)])
    with ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert [archive.read(name) for name in archive.namelist()] == list(contents.values())
        assert {entry.date_time for entry in archive.infolist()} == {(2026, 11, 30, 12, 0, 2)}
    assert made == b"".join([piece async for piece in zipped(storage, files, NOW)])


@pytest.mark.anyio
async def test_archive_of_a_missing_object_has_no_end() -> None:
    storage = MemoryStorage()
    await storage.put("outputs/a", b"a")
    pieces = []
    with pytest.raises(ObjectNotFound):
        async for piece in zipped(storage, [("outputs/a", "a"), ("outputs/b", "b")], NOW):
            pieces.append(piece)
    assert b"PK\x05\x06" not in b"".join(pieces)


@pytest.mark.anyio
async def test_archive_that_is_given_up_closes_its_objects() -> None:
    storage = MemoryStorage()
    await storage.put("outputs/a", b"a" * 1_000_000)
    pieces = zipped(storage, [("outputs/a", "a")], NOW)
    await anext(pieces)
    await pieces.aclose()
