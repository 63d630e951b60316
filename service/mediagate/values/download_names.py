"""Names of downloads: safe on every system, and no two alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

LONGEST = 200
"""Bytes of a name in UTF-8; file systems take 255."""
MOST_EXTENSION = 10
"""Bytes of an extension with its dot."""
_FORBIDDEN = frozenset('/\\:*?"<>|')
_RESERVED = frozenset(
    {
        *("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"),
        *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10)),
    }
)
"""Names of devices, which Windows opens in every folder and with every extension, also with superscript digits."""


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


def cut(text: str, longest: int) -> str:
    """Return the beginning of a text that has at most so many bytes in UTF-8."""
    return text.encode(errors="ignore")[:longest].decode(errors="ignore")


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
    stem = cut(stem.strip(". ") or "file", LONGEST - MOST_EXTENSION).rstrip(". ")
    device = unicodedata.normalize("NFKC", stem).partition(".")[0].rstrip().upper()
    return (f"_{stem}" if device in _RESERVED else stem), extension


def _joined(stem: str, extension: str) -> str:
    return f"{stem}.{extension}" if extension else stem


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
