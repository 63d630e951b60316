"""Archives of outputs: names that are safe on every system, entries of any size."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from zipfile import ZipFile

import pytest

from mediagate.errors import ObjectNotFound
from mediagate.http.archive import safe_names, zipped
from mediagate.storage import MemoryStorage

NOW = datetime(2026, 11, 30, 12, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo-large.webp", "photo-large.webp"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\Windows\\x.png", "C__Windows_x.png"),
        ("/absolute.png", "_absolute.png"),
        ("..", "file"),
        (".hidden.png", "hidden.png"),
        ("", "file"),
        ("CON.png", "_CON.png"),
        ("nul", "_nul"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("a\x00b\r\n.png", "ab.png"),
        ("gnp.\u202egpj", "gnp.gpj"),
        ('a"b<c>|?*.png', "a_b_c____.png"),
        ("\ud800.png", "png"),
        ("Grüße 写.png", "Grüße 写.png"),
        ("name. .png", "name.png"),
    ],
)
def test_name_is_safe(name: str, safe: str) -> None:
    assert safe_names([name]) == [safe]


def test_long_name_is_cut_to_what_file_systems_take_and_keeps_its_extension() -> None:
    (safe,) = safe_names(["写" * 300 + ".jpeg"])
    assert len(safe.encode()) <= 200 and safe.endswith(".jpeg")


def test_names_that_a_file_system_takes_for_one_are_made_different() -> None:
    names = safe_names(
        ["a.png", "A.PNG", "a.png", "a-2.png", "caf\u00e9", "cafe\u0301", "ﬁ.png", "fi.png", "../a", "_a"]
    )
    assert len({name.casefold() for name in names}) == len(names)
    assert names[:3] == ["a.png", "A-2.PNG", "a-3.png"]


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
