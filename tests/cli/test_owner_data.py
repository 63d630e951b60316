"""``mediagate erase`` and ``mediagate export``."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from mediagate import MediaGate, Settings, Source
from mediagate.storage import MARK_KEY
from tests.support.command import mediagate, output_of
from tests.support.forked import SHARED
from tests.support.server import PYTHONPATH

GATE = "crashing_gate:gate"


def a_gate(settings: Settings) -> MediaGate:
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    gate.fork_server = SHARED
    return gate


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Path:
    """A data folder with published pictures, a waiting job and a direct upload of ``ann`` and of ``bob``."""
    data_dir = tmp_path_factory.mktemp("filled") / "data"
    settings = Settings(data_dir=data_dir, migrate=True, image_processes=1)

    async def fill() -> None:
        async with a_gate(settings) as gate:
            for owner in ("ann", "bob"):
                sent = [await gate.upload(photo, source_type="avatar", source_id="u1", owner=owner) for _ in range(2)]
                for status in sent:
                    await gate.wait(status.job_id, timeout_s=60)
        gate = a_gate(settings)
        gate.use(worker=False)
        async with gate:
            for owner in ("ann", "bob"):
                await gate.upload(photo, source_type="avatar", source_id="u1", owner=owner)
                target = await gate.create_upload(source_type="avatar", source_id="u1", size=len(photo), owner=owner)
                await gate.parts.storage.put(f"staging/{target.upload_id}", photo)

    asyncio.run(fill())
    return data_dir


@pytest.fixture
def filled(filled_once: Path, tmp_path: Path) -> Path:
    """A copy of that folder for one test."""
    return shutil.copytree(filled_once, tmp_path / "data")


def owners_of(data_dir: Path) -> tuple[list[str | None], int]:
    """Return the owners of all jobs and direct uploads on record, and the number of files."""
    settings = Settings(data_dir=data_dir, migrate=True, worker=False)

    async def read() -> list[str | None]:
        async with a_gate(settings) as gate:
            records = gate.parts.records
            jobs = [state.job.owner_id for state in (await records.list_jobs(limit=99)).items]
            uploads = [await records.uploads_of(owner, limit=9) for owner in ("ann", "bob")]
            return jobs + [upload.owner_id for found in uploads for upload in found]

    root = data_dir / "files"
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} - {MARK_KEY}
    return asyncio.run(read()), len([name for name in files if not name.startswith(".tmp")])


def answered(answer: str, *arguments: str, data_dir: Path) -> tuple[int, str]:
    """Run a command on a terminal, type an answer, and return its exit code and what the terminal shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mediagate.cli", *arguments],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": str(data_dir)},
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        shown, _ = process.communicate(timeout=120)
    os.close(ours)
    return process.returncode, shown


def test_erase_deletes_one_owner_and_prints_the_counts(filled: Path) -> None:
    all_owners, files = owners_of(filled)
    assert sorted(map(str, all_owners)) == ["ann"] * 4 + ["bob"] * 4
    done = mediagate("erase", GATE, "--owner", "ann", "--yes", data_dir=filled)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"deleted 3 jobs, 2 media, 1 direct uploads, {files // 2} files\n"
    assert owners_of(filled) == (["bob"] * 4, files // 2)
    again = mediagate("erase", GATE, "--owner", "ann", "--yes", data_dir=filled)
    assert (again.returncode, again.stdout) == (3, "")
    assert "owner 'ann': nothing is on record" in again.stderr


def test_erase_asks_on_a_terminal(filled: Path) -> None:
    everything = owners_of(filled)
    code, shown = answered("n", "erase", GATE, "--owner", "ann", data_dir=filled)
    assert (code, "Delete everything of the owner 'ann', irrevocably?" in shown) == (1, True), shown
    assert "nothing was deleted" in shown
    assert owners_of(filled) == everything
    code, shown = answered("y", "erase", GATE, "--owner", "ann", data_dir=filled)
    assert (code, "deleted 3 jobs" in shown) == (0, True), shown
    assert set(owners_of(filled)[0]) == {"bob"}


def test_erase_without_a_terminal_needs_yes(filled: Path) -> None:
    everything = owners_of(filled)
    done = subprocess.run(
        [sys.executable, "-m", "mediagate.cli", "erase", GATE, "--owner", "ann"],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": str(filled)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "no terminal to confirm on; add --yes" in done.stderr
    assert owners_of(filled) == everything


POINTS = [
    "storage.delete:before:1",
    "records.forget_uploads:before:1",
    "records.cancel:after:1",
    "storage.delete:after:3",
    "records.delete_media:before:1",
    "records.delete_media:after:2",
    "records.erase_jobs:before:1",
    "records.erase_jobs:after:1",
]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_erase_killed_at_any_step_is_completed_by_the_next(filled: Path, point: str) -> None:
    _, files = owners_of(filled)
    died = mediagate("erase", GATE, "--owner", "ann", "--yes", data_dir=filled, CRASH_AT=point)
    assert died.returncode == -9, died.stdout + died.stderr
    done = mediagate("erase", GATE, "--owner", "ann", "--yes", data_dir=filled)
    assert done.returncode == (3 if point == "records.erase_jobs:after:1" else 0), done.stdout + done.stderr
    assert owners_of(filled) == (["bob"] * 4, files // 2)


def test_export_writes_an_archive_and_prints_the_counts(filled: Path, tmp_path: Path) -> None:
    to = tmp_path / "ann.zip"
    printed = output_of("export", GATE, "--owner", "ann", "--to", str(to), data_dir=filled)
    with ZipFile(to) as archive:
        assert archive.testzip() is None
        files = [name for name in archive.namelist() if name.startswith(("media/", "originals/"))]
    assert printed.startswith(f"{to}: 3 jobs, 2 media, 1 direct uploads, {len(files)} files (")
    again = mediagate("export", GATE, "--owner", "ann", "--to", str(to), data_dir=filled)
    assert again.returncode == 1
    assert f"{to} exists; name another file" in again.stderr


def test_export_of_an_unknown_owner_exits_with_3(tmp_path: Path) -> None:
    to = tmp_path / "none.zip"
    done = mediagate("export", GATE, "--owner", "nobody", "--to", str(to), data_dir=tmp_path / "data")
    assert (done.returncode, done.stdout) == (3, "")
    assert "owner 'nobody': nothing is on record; check the name and the gate" in done.stderr
    assert "Traceback" not in done.stderr
    assert not to.exists()


@pytest.mark.slow
def test_export_killed_leaves_no_file_of_its_name(filled: Path, tmp_path: Path) -> None:
    to = tmp_path / "ann.zip"
    died = mediagate(
        "export", GATE, "--owner", "ann", "--to", str(to), data_dir=filled, CRASH_AT="records.list_jobs:after:1"
    )
    assert died.returncode == -9, died.stdout + died.stderr
    (left,) = [path.name for path in tmp_path.glob("*ann*")]
    assert re.fullmatch(r"\.ann\.zip\.[0-9a-f]{8}\.part", left)
    output_of("export", GATE, "--owner", "ann", "--to", str(to), data_dir=filled)
