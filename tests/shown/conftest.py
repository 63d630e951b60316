"""The browser that shows published files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.programs import chromium_path
from tests.support.showing.browser import Browser, opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium_path()
    with opened() as started:
        yield started
