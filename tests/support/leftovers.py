"""What a session of tests has left behind: processes, databases and files; ``tests/conftest.py`` asks at its end."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.databases import left_databases

ROOT = Path(__file__).parents[2]
MARK = "MEDIAGATE_TEST_SESSION"
"""The variable by which every process of a session is known: children inherit it."""
CACHES = {
    ".git",
    ".venv",
    ".cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".import_linter_cache",
    "__pycache__",
    "jiti",
    "node-compile-cache",
}
PATIENCE_S = 5.0
"""Processes whose parents were killed may need a moment to end."""


class Session:
    """One run of pytest: whatever it starts and writes, and what is still there at the end.

    Temporary files of its processes go to a folder of its own.
    """

    def __init__(self) -> None:
        self._id = os.urandom(6).hex()
        # Short, since the path of a Unix socket has 107 characters at most.
        self._temporary = Path(tempfile.mkdtemp(prefix="mediagate-"))
        self._temporary.chmod(0o755)  # servers of tests run as users of their own
        self._before = set(_checkout())
        # pytest's own folders stay where people look for them.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
        # Every process would compile this package anew, which takes longer than to start.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        # Tests import onnxruntime themselves; its telemetry would write a file.
        os.environ |= {MARK: self._id, "TMPDIR": str(self._temporary), "ORT_DISABLE_TELEMETRY": "1"}
        tempfile.tempdir = None

    def leftovers(self) -> list[str]:
        """Return a line for each thing that is left; removes the folder of temporary files."""
        end = time.monotonic() + PATIENCE_S
        while (processes := list(_processes(self._id))) and time.monotonic() < end:
            time.sleep(0.1)
        databases = [f"database {name}" for name in left_databases()]
        files = [f"file {path}" for path in sorted(self._temporary.iterdir()) if path.name not in CACHES]
        files += [f"file {path}" for path in sorted(set(_checkout()) - self._before)]
        shutil.rmtree(self._temporary)
        return [*processes, *databases, *files]


def _processes(session: str) -> Iterator[str]:
    mark, own = f"{MARK}={session}".encode(), {os.getpid(), os.getppid()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = mark in (process / "environ").read_bytes().split(b"\0")
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if ours and words and int(process.name) not in own:
            yield f"process {process.name}: {words[:160]}"


def _checkout() -> Iterator[Path]:
    """Yield what is in the checkout, apart from caches and environments."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in CACHES and not name.endswith(".egg-info")]
        yield from (Path(folder, name) for name in [*files, *folders])
