"""Shared by all tests: where the real pictures are, and the event loop that async tests run on."""

from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real pictures; its README names their licences."""
    return DATA
