"""The gate's own files are for its user alone, also those that an earlier release or another program made."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

from mediagate.errors import ConfigError

log = logging.getLogger("mediagate")

FOLDER, PASSED_THROUGH, FILE = 0o700, 0o711, 0o600
BESIDE = ("", "-wal", "-shm", "-journal")
"""What SQLite adds to a file's name for those that it keeps beside it."""


def keep_folder(path: Path, *, passed_through: bool = False) -> None:
    """Make the data folder, or take it from all others but its user; raises ``ConfigError`` when there cannot be one.

    ``passed_through``: other users may open what they know the name of, as a web server does that serves its files.
    """
    mode = PASSED_THROUGH if passed_through else FOLDER
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"data_dir {path}: {exc.strerror}; name a folder that can be written to") from exc
    _restrict(path, mode)


def keep_database(path: Path) -> None:
    """Take a SQLite file and what lies beside it from all others but its user; SQLite makes the others like the first.

    A file that is not there yet is made, empty, so that it is private from its first moment on. Raises ``OSError``.
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
        if found & stat.S_ISVTX:  # such as /tmp: it belongs to everybody
            raise PermissionError
        path.chmod(stat.S_IMODE(found) & mode)
    except PermissionError:
        log.warning("%s can be read by other users, and its mode cannot be changed: give it to this user alone", path)
