"""What the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.copies import filled


@pytest.fixture
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands run in a folder of their own, from which they load gates."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with files to copy."""
    return filled(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """The folder to copy to, which does not exist yet."""
    return tmp_path / "new"
