"""The files of a service that is running, and that may remove them at any time."""

from __future__ import annotations

import os
from pathlib import Path


def live_files(folder: Path) -> list[Path]:
    """Return the files below a folder; ``Path.rglob`` would raise for a folder that is removed meanwhile."""
    return [Path(root, name) for root, _, names in os.walk(folder) for name in names]
