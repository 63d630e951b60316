"""The paths that an image process may read: Python, its libraries, files of system libraries, and declared paths."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import all_suffixes
from pathlib import Path

SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
    "/dev/random",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys/vm/overcommit_memory",
    "/sys/bus/pci/devices",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)
"""Libraries, and the files in which they look up properties of the machine. The devices are writable."""
NAMESPACES = 2
"""How many nested folders without an ``__init__.py`` may lie above a module."""
_MODULES = (*all_suffixes(), ".zip")
LIBRARY_FOLDERS = ("site-packages", "dist-packages")
"""Names of folders that contain only installed packages."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A file, or a folder with all its content; ``names_only`` allows listing without reading."""

    path: str
    names_only: bool = False


def readable(declared: Iterable[Path], private: Sequence[Path]) -> tuple[Readable, ...]:
    """Return all readable paths: ``declared`` and those that Python needs, without ``private``.

    Of a folder on Python's path that is not a library, such as a program's own, only modules and packages are readable;
    other files in it, such as ``.env``, are not.
    """
    shut = [path.resolve() for path in private]
    libraries = {*map(Path, SYSTEM), *_python(), *(path.resolve() for path in declared)}
    found = [grant for path in sorted(libraries) for grant in _without(path, shut)]
    for entry in dict.fromkeys(Path(entry or ".").absolute() for entry in sys.path):
        if entry.is_dir() and not _in_library(entry, libraries):
            found += _modules(entry, shut, deeper=NAMESPACES)
        else:
            found += _without(entry, shut)
            # Some installers and distributions link to files elsewhere.
            links = (inside for inside in _listed(entry) if inside.is_symlink())
            found += [grant for link in links for grant in _without(link.resolve(), shut)]
    return tuple(dict.fromkeys(found))


def _python() -> Iterator[Path]:
    paths = sysconfig.get_paths()
    yield from (Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    if folder := sysconfig.get_config_var("LIBDIR"):
        yield Path(folder)


def _in_library(entry: Path, libraries: Iterable[Path]) -> bool:
    return entry.name in LIBRARY_FOLDERS or any(entry.is_relative_to(library) for library in libraries)


def _modules(folder: Path, shut: Sequence[Path], *, deeper: int) -> list[Readable]:
    """Return the importable modules and packages of a folder."""
    found: list[Readable] = []
    for inside in _listed(folder):
        if inside.is_dir():
            if not inside.name.isidentifier():
                continue
            if (inside / "__init__.py").exists():
                found += _without(inside, shut)
            elif deeper:
                found += _modules(inside, shut, deeper=deeper - 1)
        elif inside.name.endswith(_MODULES):
            found += _without(inside, shut)
    return [Readable(str(folder), names_only=True), *found] if found else []


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _without(path: Path, shut: Sequence[Path]) -> Iterator[Readable]:
    """Yield a path, or the parts of it that are not in ``shut``."""
    real = path.resolve()
    if any(real.is_relative_to(one) for one in shut):
        return
    if not any(one.is_relative_to(real) for one in shut):
        yield Readable(str(path))
        return
    yield Readable(str(path), names_only=True)
    for inside in _listed(path):
        yield from _without(inside, shut)
