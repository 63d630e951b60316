"""File modes of the data folder and its database: accessible to the gate's user only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediagate import MediaGate, Settings, Source
from mediagate.config import keep_folder

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def generous() -> Iterator[None]:
    """Set a umask of 0, so that only explicit modes protect files."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}


@pytest.mark.parametrize("exists", [False, True], ids=["new", "existing"])
async def test_data_folder_and_database_are_private(tmp_path: Path, exists: bool) -> None:
    data = tmp_path / "data"
    if exists:
        data.mkdir(mode=0o755)
        for name in ("mediagate.db", "mediagate.db-wal", "mediagate.db-shm"):
            (data / name).touch(0o644)
    gate = MediaGate(
        sources={"avatar": Source()}, settings=Settings(data_dir=data, moderation="off", image_processes=1)
    )
    async with gate:
        found = modes(data)
    assert found.pop("data") == 0o700
    assert {name: mode for name, mode in found.items() if mode & 0o077} == {}
    assert found["mediagate.db"] == 0o600


def test_keep_folder_with_passed_through_sets_mode_711(tmp_path: Path) -> None:
    keep_folder(tmp_path / "data", passed_through=True)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o711


def test_keep_folder_leaves_a_shared_folder_and_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    keep_folder(shared)
    assert shared.stat().st_mode & 0o7777 == 0o1777
    assert "other users" in caplog.text
