"""A ZIP archive of stored objects, made while it is sent, under names that are safe on every system."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import UTC, datetime
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from mediagate.storage import Storage, streaming

LONGEST = 200
"""Bytes of a name in UTF-8; file systems take 255."""
MOST_EXTENSION = 10
"""Bytes of an extension with its dot."""
_FORBIDDEN = frozenset('/\\:*?"<>|')
_RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
)
"""Names of devices, which Windows opens in every folder and with every extension."""


def safe_names(names: Iterable[str]) -> list[str]:
    """Return file names without folders, control characters and names of devices, no two of them alike.

    Names count as alike if a file system that ignores case or Unicode's forms would take one for the other.
    """
    used: set[str] = set()
    safe: list[str] = []
    for name in names:
        stem, extension = _parts(name)
        chosen, number = _joined(stem, extension), 1
        while _folded(chosen) in used:
            number += 1
            chosen = _joined(f"{stem}-{number}", extension)
        used.add(_folded(chosen))
        safe.append(chosen)
    return safe


async def zipped(storage: Storage, files: Sequence[tuple[str, str]], modified: datetime) -> AsyncGenerator[bytes]:
    """Yield a ZIP archive, uncompressed, of objects by key and name; all have one time.

    Holds one chunk of one object in memory. Raises ``ObjectNotFound`` and ``StorageUnavailable``.
    """
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as archive:
        for key, name in files:
            entry = ZipInfo(name, modified.astimezone(UTC).timetuple()[:6])
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w") as opened:
                async with streaming(storage.stream(key)) as chunks:
                    async for chunk in chunks:
                        opened.write(chunk)
                        yield sink.taken()
    yield sink.taken()


class _Sink:
    """Bytes that were written and not taken yet; without ``seek``, so that sizes follow the data of each entry."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        """Add bytes."""
        self._bytes += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: the bytes are taken by the reader."""

    def close(self) -> None:
        """Do nothing."""

    def taken(self) -> bytes:
        """Return the bytes and forget them."""
        taken, self._bytes = bytes(self._bytes), bytearray()
        return taken


def _parts(name: str) -> tuple[str, str]:
    """Return stem and extension of a name, both safe."""
    plain = "".join(
        "_" if character in _FORBIDDEN else character
        for character in unicodedata.normalize("NFC", name)
        # Control and format characters, such as those that turn the direction of a text, and halves of surrogates.
        if not unicodedata.category(character).startswith("C")
    ).strip(". ")
    stem, _, extension = plain.rpartition(".")
    if not (stem and extension.isalnum() and len(extension.encode()) < MOST_EXTENSION):
        stem, extension = plain, ""
    stem = _cut(stem.strip(". ") or "file", LONGEST - MOST_EXTENSION)
    return (f"_{stem}" if stem.partition(".")[0].upper() in _RESERVED else stem), extension


def _joined(stem: str, extension: str) -> str:
    return f"{stem}.{extension}" if extension else stem


def _cut(text: str, longest: int) -> str:
    return text.encode()[:longest].decode(errors="ignore")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
