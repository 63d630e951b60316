"""Model files in installed packages, which are found without importing the package."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path


def file_of(package: str, name: str) -> Path | None:
    """Return the path of the file of this name in a package, ``None`` when it is not installed."""
    with suppress(PackageNotFoundError):
        for file in files(package) or ():
            path = Path(str(file.locate()))
            if file.name == name and path.is_file():
                return path
    return None
