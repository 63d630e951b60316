"""Wheels of mediagate, of this checkout and of the previous release, and environments that have one installed."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
RELEASES = ROOT / "tests" / "data" / "releases"
"""The wheel of the newest release; ``docs/project/releasing.md`` says when to replace it."""


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout into a folder, with the backend and the packages of this environment."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(wheel: Path, folder: Path) -> Path:
    """Make an environment with a wheel, beside the packages of this environment, and return its Python.

    A path in a ``.pth`` file comes after the environment's own packages, and ``.pth`` files there are not read: the
    checkout that this environment has installed is not found.
    """
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "install", "--no-deps", "--no-index"]
    done = subprocess.run([*command, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "packages_of_the_tests.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python
