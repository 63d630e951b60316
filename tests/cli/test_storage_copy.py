"""``mediagate storage copy`` between folders: what it copies, prints, and refuses."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import mediagate, output_of
from tests.support.copies import KEYS, MARK, WITHIN_SKEW_S, content, copied, copy, filled, mark, refused, write
from tests.support.server import PYTHONPATH

PREFIXES = {"staging": "staging", "media": "img", "originals": "originals", "outputs": "outputs"}

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_own_folder")]


def test_copy_between_folders_is_complete_and_repeatable(old: Path, new: Path) -> None:
    assert copied(old, new) == [
        "copied 4 files (4.0 kB); 0 were there already",
        "complete: the destination has all 4 files (4.0 kB) of the source; --verify compares their bytes",
    ]
    assert content(new) == content(old)
    assert copied(f"file://{old}", f"file://{new}")[0] == "copied 0 files (0 bytes); 4 were there already"
    assert sorted(path.name for path in old.iterdir()) == ["media", "mediagate", "originals", "staging"]


def test_copy_copies_what_is_missing_differs_or_may_have_been_replaced(old: Path, new: Path) -> None:
    copied(old, new)
    write(old, "media/avatar/u1/med_3/sm.webp", b"new")
    write(old, KEYS[1], b"of another size")
    write(old, KEYS[0], b"\xff" * 1000, age_s=WITHIN_SKEW_S)
    write(old, KEYS[2], b"\xff" * 1000)  # an old file, whose copy is newer
    assert copied(old, new)[0].startswith("copied 3 files ")
    assert content(new) | {KEYS[2]: b"\xff" * 1000} == content(old)


def test_verify_finds_and_mends_a_file_with_other_bytes(old: Path, new: Path) -> None:
    copied(old, new)
    (new / KEYS[2]).write_bytes(b"\xff" * 1000)
    listed = copied(old, new, "--verify", "--dry-run")
    assert listed == [f"would copy {KEYS[2]}", "would copy 1 file (1.0 kB); 3 were there already"]
    assert copied(old, new, "--verify") == [
        "copied 1 file (1.0 kB); 3 were there already",
        "verified: the destination has all 4 files (4.0 kB) of the source, byte for byte",
    ]
    assert content(new) == content(old)


def test_dry_run_lists_and_changes_nothing(old: Path, new: Path) -> None:
    copied(old, new)
    shutil.rmtree(new / "media")
    write(new, "media/avatar/u1/med_9/sm.webp", b"gone at the source")
    before = content(new)
    lines = copied(old, new, "--dry-run", "--delete")
    assert set(lines[:3]) == {
        f"would copy {KEYS[1]}",
        f"would copy {KEYS[2]}",
        "would delete media/avatar/u1/med_9/sm.webp",
    }
    assert lines[3:] == ["would copy 2 files (2.0 kB); 2 were there already; would delete 1"]
    assert content(new) == before
    fresh = new.parent / "fresh"
    copied(old, fresh, "--dry-run")
    assert content(fresh) == {}


def test_failed_file_is_named_with_its_reason_and_the_rest_is_copied(old: Path, new: Path) -> None:
    (new / KEYS[1]).mkdir(parents=True)
    done = copy(old, new)
    assert done.returncode == 1
    assert f"failed {KEYS[1]}: storage_unavailable: storage, {KEYS[1]}: Is a directory" in done.stderr
    assert "incomplete: 1 failed; run the command again" in done.stderr
    assert done.stdout == "copied 3 files (3.0 kB); 0 were there already\n"
    (new / KEYS[1]).rmdir()
    assert copied(old, new)[0] == "copied 1 file (1.0 kB); 3 were there already"


def test_delete_removes_only_what_the_source_no_longer_has(old: Path, new: Path) -> None:
    copied(old, new, "--delete")
    (old / KEYS[0]).unlink()
    (old / KEYS[1]).unlink()
    assert copied(old, new)[1] == "the destination has 2 more that the source lacks; --delete removes them"
    assert copied(old, new, "--delete")[0] == "copied 0 files (0 bytes); 2 were there already; deleted 2"
    assert content(new) == content(old)


def test_delete_refuses_a_destination_without_a_mark(old: Path, new: Path) -> None:
    write(new, "media/avatar/u1/med_9/sm.webp", b"whose?")
    assert f"the destination has no {MARK}: run the command once without --delete" in refused(old, new, "--delete")
    assert (new / "media/avatar/u1/med_9/sm.webp").exists()


def test_delete_refuses_a_destination_that_a_gate_has_used_since(old: Path, new: Path) -> None:
    copied(old, new)
    mark(new, generation=4)
    write(new, "media/avatar/u1/med_9/sm.webp", b"uploaded since")
    assert "a gate has used the destination since" in refused(old, new, "--delete")
    done = copy(old, new)
    assert (done.returncode, "warning: a gate has used the destination since" in done.stderr) == (0, True)
    assert json.loads((new / MARK).read_text())["generation"] == 4


def test_delete_refuses_a_source_that_lost_most_of_its_files(old: Path, new: Path) -> None:
    for number in range(8):
        write(old, f"media/avatar/u1/med_9/{number}.webp", b"x")
    copied(old, new)
    shutil.rmtree(old / "media")
    assert "--delete would leave 1 of the 11 published files" in refused(old, new, "--delete")
    assert len(content(new)) == 13


def test_delete_accepts_that_most_files_were_replaced_by_newer_ones(old: Path, new: Path) -> None:
    for number in range(8):
        write(old, f"media/avatar/u1/med_9/{number}.webp", b"expires")
    copied(old, new)
    shutil.rmtree(old / "media")
    for number in range(8):
        write(old, f"media/avatar/u1/med_10/{number}.webp", b"new")
    assert copied(old, new, "--delete")[0].endswith("; deleted 10")
    assert content(new) == content(old)


def test_copy_refuses_a_destination_of_another_database(old: Path, new: Path) -> None:
    mark(new, database="db_2")
    assert "the files of another database (db_2; the source's is db_1)" in refused(old, new)
    (old / MARK).unlink()
    assert "mediagate adopt" in refused(old, new)
    assert list(content(new)) == [MARK]


def test_copy_refuses_an_unmarked_destination_with_unknown_files(old: Path, new: Path) -> None:
    for number in range(6):
        write(new, f"media/post/u1/med_9/{number}.webp", b"x")
    assert "6 published files, none of which the source has" in refused(old, new)
    assert len(content(new)) == 6
    write(new, KEYS[1], bytes([1]) * 1000)
    assert copied(old, new)[0].startswith("copied 3 files ")


def test_copy_marks_the_destination_before_the_first_file(old: Path, new: Path) -> None:
    for key in KEYS:
        (new / key).mkdir(parents=True)
    assert copy(old, new).returncode == 1
    assert json.loads((new / MARK).read_text()) == {"database": "db_1", "generation": 3}


def test_copy_refuses_the_same_place_by_any_name(old: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(old)
    assert "source and destination are the same place" in refused(old, tmp_path / "link")
    assert "source and destination are the same gate" in refused("plain_gate:gate", "plain_gate:gate")
    assert sorted(content(old)) == sorted([*KEYS, MARK])


def test_copy_names_a_missing_or_wrong_source(old: Path, new: Path, tmp_path: Path) -> None:
    assert f"storage root {tmp_path / 'nowhere'}: folder not found" in refused(tmp_path / "nowhere", new)
    assert "the source holds no files of a gate" in refused(tmp_path, new)
    assert "cannot load 'nowhere:gate'" in refused("nowhere:gate", new)
    assert "file:///srv/media/files" in refused("file://old", new)
    assert not (tmp_path / "nowhere").exists()


def test_copy_between_folders_refuses_to_guess_the_gate_of_the_sources(old: Path, new: Path) -> None:
    assert "name your gate with --gate or MEDIAGATE_GATE" in refused(old, new, MEDIAGATE_GATE="")
    assert not new.exists()


@pytest.mark.parametrize(
    ("source", "target", "options", "gate"),
    [
        ("old", "new", (), "plain_gate:gate"),
        ("old", "new", ("--gate", "private_gate:gate"), "private_gate:gate"),
        ("old", "private_gate:gate", (), "private_gate:gate"),
        ("private_gate:gate", "new", (), "private_gate:gate"),
    ],
)
def test_copy_prints_whose_sources_say_what_is_private(
    source: str, target: str, options: tuple[str, ...], gate: str, old: Path, new: Path
) -> None:
    filled(new.parent / "data" / "files")
    done = copy(source, target, *options, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"private files: as the sources of {gate} say" in done.stderr


def test_copy_refuses_a_malformed_address_without_quoting_it(old: Path) -> None:
    for address in ("s3://[geheim", "file://[geheim"):
        said = refused(old, address)
        assert "such as" in said and "geheim" not in said


def test_copy_lists_the_schemes_when_one_is_unknown(old: Path) -> None:
    assert "unknown scheme 'gs': use one of file://, s3://, a folder, or a gate" in refused(old, "gs://media")


def test_copy_opens_the_scheme_of_a_package(old: Path, new: Path, tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "shelf-1.dist-info").mkdir(parents=True)
    (package / "shelf-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 1\n")
    (package / "shelf-1.dist-info" / "entry_points.txt").write_text("[mediagate.storages]\nshelf = shelf:opened\n")
    (package / "shelf.py").write_text(
        "from contextlib import asynccontextmanager\n"
        "from pathlib import Path\n"
        "from mediagate.storage import FilesystemStorage\n"
        "@asynccontextmanager\n"
        "async def opened(address, sources):\n"
        "    assert sources['document'].visibility == 'private'\n"
        "    yield FilesystemStorage(Path(address.removeprefix('shelf:/')))\n"
    )
    path = f"{package}{os.pathsep}{PYTHONPATH}"
    copied(old, f"shelf:/{new}", "--gate", "private_gate:gate", PYTHONPATH=path)
    assert content(new) == content(old)


def test_copy_names_the_extra_of_a_bucket(old: Path, tmp_path: Path) -> None:
    (tmp_path / "without" / "boto3").mkdir(parents=True)
    (tmp_path / "without" / "boto3" / "__init__.py").write_text("raise ImportError('no boto3')\n")
    without = f"{tmp_path / 'without'}{os.pathsep}{PYTHONPATH}"
    assert 'pip install "mediagate[s3]"' in refused(old, "s3://media", PYTHONPATH=without)


def test_copy_prints_no_secret_of_an_address(old: Path) -> None:
    said = refused(old, "s3://AKIA:geheim@media/prefix")
    assert "AWS_SECRET_ACCESS_KEY" in said and "geheim" not in said
    assert "s3_storage.bucket: give the name of a bucket" in refused(old, "s3:///prefix")


def test_copy_shows_its_progress_on_a_terminal(old: Path, new: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mediagate.cli", "storage", "copy", "--from", old, "--to", new],
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_GATE": "plain_gate:gate"},
            stdout=subprocess.PIPE, stderr=theirs, timeout=120, check=True,
        )  # fmt: skip
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "listing: " in shown and shown.endswith("\r\x1b[K")
    assert done.stdout.decode().startswith("copied 4 files ")
    assert "listing" not in copy(old, new).stderr


def test_storage_command_loads_no_plugin_and_describes_itself(tmp_path: Path) -> None:
    said = output_of("storage", "--help", data_dir=tmp_path)
    assert "copy" in said and "another storage" in said
    assert "--from" in output_of("storage", "copy", "--help", data_dir=tmp_path)
    done = mediagate("storage", "copy", "--help", data_dir=tmp_path, PYTHONVERBOSE="1")
    assert "mediagate_plugins.webhooks" not in done.stderr


def generation(root: Path) -> int:
    return int(json.loads((root / MARK).read_text())["generation"])


def test_copy_from_a_gate_counts_as_a_start_of_it(new: Path, tmp_path: Path) -> None:
    files = tmp_path / "data" / "files"
    output_of("janitor", "plain_gate:gate", data_dir=tmp_path / "data")
    before = generation(files)
    copied("plain_gate:gate", new, "--dry-run")
    assert generation(files) == before
    copied("plain_gate:gate", new)
    assert (generation(files), generation(new)) == (before + 1, before + 1)
    assert "the files belong to this database" in output_of("doctor", "plain_gate:gate", data_dir=tmp_path / "data")


def test_copy_from_a_gate_refuses_the_files_of_another_database(new: Path, tmp_path: Path) -> None:
    output_of("janitor", "plain_gate:gate", data_dir=tmp_path / "data")
    mark(tmp_path / "data" / "files", database="db_2")
    assert "the storage holds the files of another database (db_2; this one is " in refused("plain_gate:gate", new)
    assert not new.exists()


def test_copy_from_a_gate_works_while_its_database_is_unavailable(new: Path, tmp_path: Path) -> None:
    filled(tmp_path / "data" / "files")
    done = copy("plain_gate:gate", new, MEDIAGATE_DATABASE_URL="postgresql://u:geheim@127.0.0.1:1/x")
    assert done.returncode == 0, done.stderr
    assert "could not check that the files belong to " in done.stderr
    assert "geheim" not in done.stderr
    assert content(new) == content(tmp_path / "data" / "files")


def test_copy_takes_the_key_prefixes_of_the_gate(old: Path, new: Path) -> None:
    encoded = "img/avatar/_ann.40example.2ecom/med_1/sm.webp"
    write(old, encoded, b"a")
    marked = {"database": "db_1", "generation": 3, "prefixes": PREFIXES}
    write(old, MARK, json.dumps(marked).encode())
    assert "the files of this storage have the key prefixes" in refused(old, new)
    assert copied(old, new, MEDIAGATE_MEDIA_PREFIX="img")[0].startswith("copied 3 files ")
    assert content(new).keys() == {encoded, KEYS[0], KEYS[3], MARK}, "media/ is no folder of this gate"
    assert json.loads((new / MARK).read_text()) == marked
