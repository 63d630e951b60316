"""The folder into which ``mediagate run`` writes: complete files under safe names, and none that was there before."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from mediagate.errors import InvalidParameter

LONGEST_STEM = 150
"""Bytes in UTF-8: with the name of an output a file name has less than the 255 that file systems take."""
_UNSAFE = re.compile(r"[^\w.-]+")


def file_name(photo: Path, output: str, extension: str, *, alone: bool, page: int | None = None) -> str:
    """Return the name of an output: that of the photo, of its page, and unless it is ``alone`` that of the output."""
    plain = _UNSAFE.sub("_", photo.stem).strip("._-").encode(errors="ignore")
    stem = plain[:LONGEST_STEM].decode(errors="ignore") or "photo"
    stem = stem if page is None else f"{stem}-p{page}"
    return f"{stem}.{extension}" if alone else f"{stem}-{output}.{extension}"


def write_files(folder: Path, files: Mapping[str, bytes], *, force: bool) -> list[Path]:
    """Write files into a folder and return their paths, in order; each appears under its name when all are complete.

    Raises ``InvalidParameter`` if one of them is there, unless ``force`` replaces it, or if the folder cannot be
    written to. Nothing is written if one of them was there before, or if there is no room for all.
    """
    parts: dict[Path, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in () if force else files:
            if os.path.lexists(folder / name):
                raise _taken(folder / name)
        for name, data in files.items():
            part = folder / f".{secrets.token_hex(8)}.part"
            parts[part] = folder / name
            _write(part, data)
        for part, path in parts.items():
            _name(part, path, force=force)
    except OSError as exc:
        raise InvalidParameter(f"cannot write to {folder}: {exc.strerror or exc}") from exc
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return [*parts.values()]


def _write(part: Path, data: bytes) -> None:
    with part.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _name(part: Path, path: Path, *, force: bool) -> None:
    if force:
        part.replace(path)
        return
    try:
        # A rename would replace a file that has appeared meanwhile.
        os.link(part, path)
    except FileExistsError:
        raise _taken(path) from None


def _taken(path: Path) -> InvalidParameter:
    return InvalidParameter(f"{path} exists; choose another folder, or replace it with --force")
