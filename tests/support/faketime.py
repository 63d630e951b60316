"""The library that sets the clocks of a single process."""

from __future__ import annotations

from pathlib import Path

import pytest


def faketime() -> Path:
    """Return libfaketime, for LD_PRELOAD; skips the test when it is not installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("no libfaketime in /usr/lib/*/faketime: install Debian's package faketime")
    return found[0]
