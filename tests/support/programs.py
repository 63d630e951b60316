"""Programs of other packages that tests run."""

from __future__ import annotations

import shutil

import pytest

from tests.support.showing.browser import executable


def program(name: str, package: str) -> str:
    """Return the path of a program; skips the test where its Debian package is not installed."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"no {name} on PATH: install Debian's package {package}")
    return found


def chromium_path() -> str:
    """Return the path of Chromium; skips the test where there is none."""
    found = executable()
    if found is None:
        pytest.skip("no Chromium on PATH; name one in CHROMIUM")
    return found
