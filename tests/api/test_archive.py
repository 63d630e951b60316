"""An archive is whole under its name, or not there, also when the folder refuses the last step."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import pytest

from mediagate.api.archive import Archive
from mediagate.errors import ExportFailed
from mediagate.values import utcnow
from tests.support.owner_data import names

pytestmark = pytest.mark.anyio

NOBODY = 65534


async def write(to: Path) -> None:
    async with Archive(to, now=utcnow()) as archive:
        await archive.write_line("jobs", {"id": "job_1"})
        await archive.write_tables()


@pytest.fixture
def unlisted() -> Iterator[Path]:
    """A folder in which this user may create files, but whose names it may not read; root would read them."""
    with TemporaryDirectory() as name:
        folder, is_root = Path(name), os.geteuid() == 0
        folder.chmod(0o300)
        if is_root:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o700)


async def test_archive_in_a_folder_that_cannot_be_synced_leaves_nothing(unlisted: Path) -> None:
    with pytest.raises(ExportFailed, match="Permission denied; no partial file is left"):
        await write(unlisted / "a.zip")
    assert not (unlisted / "a.zip").exists()


async def test_archive_whose_name_is_not_on_the_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def fails_for_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fails_for_folders)
        with pytest.raises(ExportFailed, match="Input/output error; no partial file is left"):
            await write(tmp_path / "a.zip")
    assert names(tmp_path) == []
    await write(tmp_path / "a.zip")
    with ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["jobs.jsonl"]
