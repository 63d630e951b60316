"""Commands of ``mediagate``, each run to its end in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.server import PYTHONPATH


def mediagate(
    *arguments: str, data_dir: Path, python: str | Path = sys.executable, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a command, which finds the gates of the tests by their names; ``env`` adds to the environment.

    ``python`` is that of another environment, which has a release of mediagate instead of this checkout.
    """
    return subprocess.run(
        [str(python), "-m", "mediagate.cli", *arguments],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": str(data_dir), **env},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def output_of(*arguments: str, data_dir: Path, python: str | Path = sys.executable, **env: str) -> str:
    """Run a command that succeeds and return what it printed, without the last line feed."""
    done = mediagate(*arguments, data_dir=data_dir, python=python, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()
