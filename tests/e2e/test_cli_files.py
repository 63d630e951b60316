"""The command line where the database may not be the one that knows the files: doctor, janitor and adopt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.server import PYTHONPATH


def mediagate(*arguments: str, data_dir: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mediagate.cli", arguments[0], "plain_gate:gate", *arguments[1:]],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": str(data_dir), **env},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def fill(data_dir: Path, number: int) -> list[Path]:
    paths = [data_dir / "files" / "media" / "avatar" / "u1" / f"med_{n}" / "xs.webp" for n in range(number)]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"whose?")
    return paths


def test_the_janitor_stops_before_many_unknown_files_and_goes_on_when_told(tmp_path: Path) -> None:
    now = {"MEDIAGATE_ORPHAN_GRACE_S": "0"}
    assert mediagate("janitor", data_dir=tmp_path).returncode == 0
    paths = fill(tmp_path, 12)
    dry = mediagate("janitor", "--dry-run", data_dir=tmp_path, **now)
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.count("would remove media/") == 12
    assert "--really 12" in dry.stdout
    stopped = mediagate("janitor", "--really", "11", data_dir=tmp_path, **now)
    assert stopped.returncode == 1
    assert "12 of 12 published files have no record" in stopped.stderr
    assert "--really 12" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert all(path.exists() for path in paths)
    done = mediagate("janitor", "--really", "12", data_dir=tmp_path, **now)
    assert done.returncode == 0, done.stderr
    assert "removed 0 quarantined, 12 orphans" in done.stdout
    assert not any(path.exists() for path in paths)


def test_an_empty_database_beside_full_files_is_refused_until_it_adopts_them(tmp_path: Path) -> None:
    assert mediagate("janitor", data_dir=tmp_path).returncode == 0
    paths = fill(tmp_path, 12)
    other = {"MEDIAGATE_DATABASE_URL": f"file:{tmp_path}/other.db", "MEDIAGATE_MIGRATE": "true"}
    for command in ("doctor", "janitor"):
        refused = mediagate(command, data_dir=tmp_path, **other, MEDIAGATE_ORPHAN_GRACE_S="0")
        assert refused.returncode, command
        said = refused.stdout + refused.stderr
        assert "the files of another database" in said, command
        assert "mediagate adopt" in said, command
        failed = [line.split()[1] for line in refused.stdout.splitlines() if line.startswith("FAIL")]
        assert failed == (["storage"] if command == "doctor" else [])
    (tmp_path / "files" / "mediagate" / "database.json").unlink()
    empty = {"MEDIAGATE_DATABASE_URL": f"file:{tmp_path}/empty.db"}
    unnamed = mediagate("doctor", data_dir=tmp_path, **empty)
    assert (unnamed.returncode, "its name is unknown; this one is empty" in unnamed.stdout) == (1, True)
    assert all(path.exists() for path in paths)
    assert mediagate("adopt", data_dir=tmp_path, **other).returncode == 0
    assert "the files belong to this database" in mediagate("doctor", data_dir=tmp_path, **other).stdout
    assert all(path.exists() for path in paths)
