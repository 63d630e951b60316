"""What an image process may read: Python and its libraries, what the system's libraries look at, what is declared."""

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
"""Libraries, and what they ask about the machine. Its devices may be written to."""
LIBRARY_FOLDERS = ("site-packages", "dist-packages")
"""Names of folders that hold nothing but installed packages."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A file or a folder with all that is in it; ``names_only``: how things in it are called, and no more."""

    path: str
    names_only: bool = False


def readable(declared: Iterable[Path], private: Sequence[Path]) -> tuple[Readable, ...]:
    """Return what may be read in all: ``declared`` besides what Python needs, and nothing of ``private``.

    A folder on Python's path that is no library, such as a program's own, is open in its modules and packages only:
    what else lies in it, such as ``.env``, is not.
    """
    shut = [path.resolve() for path in private]
    libraries = {*map(Path, SYSTEM), *_python(), *(path.resolve() for path in declared)}
    found = [grant for path in sorted(libraries) for grant in _without(path, shut)]
    for entry in dict.fromkeys(Path(entry or ".").absolute() for entry in sys.path):
        if entry.is_dir() and not _in_library(entry, libraries):
            found.append(Readable(str(entry), names_only=True))
            for inside in sorted(entry.iterdir()):
                if _importable(inside):
                    found += _without(inside, shut)
        else:
            found += _without(entry, shut)
    return tuple(dict.fromkeys(found))


def _python() -> Iterator[Path]:
    paths = sysconfig.get_paths()
    yield from (Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    if folder := sysconfig.get_config_var("LIBDIR"):
        yield Path(folder)


def _in_library(entry: Path, libraries: Iterable[Path]) -> bool:
    return entry.name in LIBRARY_FOLDERS or any(entry.is_relative_to(library) for library in libraries)


def _importable(path: Path) -> bool:
    suffixes = tuple(all_suffixes())
    if not path.is_dir():
        return path.name.endswith((*suffixes, ".pth", ".zip"))
    return path.name.isidentifier() and any(inside.name.endswith(suffixes) for inside in path.iterdir())


def _without(path: Path, shut: Sequence[Path]) -> Iterator[Readable]:
    """Yield a path, or what is in it beside what is shut."""
    real = path.resolve()
    if any(real.is_relative_to(one) for one in shut):
        return
    if not any(one.is_relative_to(real) for one in shut):
        yield Readable(str(path))
        return
    yield Readable(str(path), names_only=True)
    for inside in sorted(path.iterdir()):
        yield from _without(inside, shut)
