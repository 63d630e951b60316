"""doctor, janitor and adopt when the database does not know the stored files."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import mediagate

GATE = "plain_gate:gate"


def fill(data_dir: Path, number: int) -> list[Path]:
    paths = [data_dir / "files" / "media" / "avatar" / "u1" / f"med_{n}" / "xs.webp" for n in range(number)]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"whose?")
    return paths


def test_janitor_removes_many_unknown_files_only_with_really(tmp_path: Path) -> None:
    now = {"MEDIAGATE_ORPHAN_GRACE_S": "0"}
    assert mediagate("janitor", GATE, data_dir=tmp_path).returncode == 0
    paths = fill(tmp_path, 12)
    dry = mediagate("janitor", GATE, "--dry-run", data_dir=tmp_path, **now)
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.count("would remove media/") == 12
    assert "--really 12" in dry.stdout
    stopped = mediagate("janitor", GATE, "--really", "11", data_dir=tmp_path, **now)
    assert stopped.returncode == 1
    assert "12 of 12 published files have no record" in stopped.stderr
    assert "--really 12" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert all(path.exists() for path in paths)
    done = mediagate("janitor", GATE, "--really", "12", data_dir=tmp_path, **now)
    assert done.returncode == 0, done.stderr
    assert "removed 0 quarantined, 12 orphans" in done.stdout
    assert not any(path.exists() for path in paths)


def test_commands_refuse_files_of_another_database_until_adopted(tmp_path: Path) -> None:
    assert mediagate("janitor", GATE, data_dir=tmp_path).returncode == 0
    paths = fill(tmp_path, 12)
    other = {"MEDIAGATE_DATABASE_URL": f"file:{tmp_path}/other.db", "MEDIAGATE_MIGRATE": "true"}
    for command in ("doctor", "janitor"):
        refused = mediagate(command, GATE, data_dir=tmp_path, **other, MEDIAGATE_ORPHAN_GRACE_S="0")
        assert refused.returncode, command
        said = refused.stdout + refused.stderr
        assert "the files of another database" in said, command
        assert "mediagate adopt" in said, command
        failed = [line.split()[1] for line in refused.stdout.splitlines() if line.startswith("FAIL")]
        assert failed == (["storage"] if command == "doctor" else [])
    (tmp_path / "files" / "mediagate" / "database.json").unlink()
    empty = {"MEDIAGATE_DATABASE_URL": f"file:{tmp_path}/empty.db"}
    unnamed = mediagate("doctor", GATE, data_dir=tmp_path, **empty)
    assert (unnamed.returncode, "its name is unknown; this one is empty" in unnamed.stdout) == (1, True)
    assert all(path.exists() for path in paths)
    assert mediagate("adopt", GATE, data_dir=tmp_path, **other).returncode == 0
    assert "the files belong to this database" in mediagate("doctor", GATE, data_dir=tmp_path, **other).stdout
    assert all(path.exists() for path in paths)
