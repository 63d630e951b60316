"""The services that tests use, all of which ``make test-fast`` leaves out."""

from __future__ import annotations

import os

import pytest


def need(service: str) -> None:
    """Skip the test where tests of services are left out."""
    if os.environ.get("MEDIAGATE_TEST_FAST"):
        pytest.skip(f"{service} is left out")
