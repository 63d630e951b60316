"""File modes: only the gate's user may access its files, including those of earlier releases or other programs."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

from mediagate.errors import ConfigError

log = logging.getLogger("mediagate")

FOLDER, PASSED_THROUGH, FILE = 0o700, 0o711, 0o600
BESIDE = ("", "-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite keeps next to a database file."""


def keep_folder(path: Path, *, passed_through: bool = False) -> None:
    """Create the data folder or restrict it to its user; raises ``ConfigError`` if it cannot be created.

    ``passed_through``: other users may open files by name, such as a web server that serves them.
    """
    mode = PASSED_THROUGH if passed_through else FOLDER
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"data_dir {path}: {exc.strerror}; set it to a writable folder") from exc
    _restrict(path, mode)


def keep_database(path: Path) -> None:
    """Restrict a SQLite file and its side files to their user; SQLite copies the mode of the first to new ones.

    A missing file is created empty, so that it is private from the start. Raises ``OSError``.
    """
    path.parent.mkdir(mode=FOLDER, parents=True, exist_ok=True)
    path.touch(FILE)
    for suffix in BESIDE:
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            _restrict(beside, FILE)


def _restrict(path: Path, mode: int) -> None:
    found = path.stat().st_mode
    if stat.S_IMODE(found) & ~mode == 0:
        return
    try:
        if found & stat.S_ISVTX:  # a shared folder such as /tmp
            raise PermissionError
        path.chmod(stat.S_IMODE(found) & mode)
    except PermissionError:
        log.warning("%s is accessible to other users and its mode cannot be changed; restrict it to this user", path)
