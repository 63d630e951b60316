"""Fixtures of the demo page: a running demo and a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.demo_browser import chromium
from tests.support.server import Server, running


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir = tmp_path_factory.mktemp("demo") / "data"
    with running("demo_gate:gate", data_dir, MEDIAGATE_IMAGE_PROCESSES="1") as server:
        yield server


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A demo with pipelines."""
    data_dir = tmp_path_factory.mktemp("operations") / "data"
    with running("operations_gate:gate", data_dir, MEDIAGATE_IMAGE_PROCESSES="1") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started
