"""``mediagate run``: a preset, or steps in a file, on pictures of this machine."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mediagate.errors import InvalidParameter
from mediagate_plugins.pipelines.folder import file_name, write_files
from tests.support.command import mediagate
from tests.support.documents import PASSWORD, a_document, encrypted, objects_of, words
from tests.support.full_disk import largest_file
from tests.support.server import PYTHONPATH

GATE = "pipeline_gate:gate"
DONE, FAILED, WRONG, REJECTED = 0, 1, 2, 3


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """A picture that the gate's moderator allows."""
    return picture(tmp_path / "photo.jpg", 100)


def picture(path: Path, width: int) -> Path:
    Image.new("RGB", (width, 80), (120, 60, 30)).save(path)
    return path


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def run(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return mediagate("run", *map(str, arguments), data_dir=tmp_path / "data", MEDIAGATE_GATE=GATE)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_run_writes_the_output_of_a_preset(tmp_path: Path, photo_file: Path) -> None:
    out = tmp_path / "out" / "deep"
    done = run(tmp_path, "thumb", photo_file, "-o", out, "--param", "width=60", "--param", "format=png")
    assert done.returncode == DONE, done.stderr
    assert done.stdout == f"{out / 'photo.png'}\n"
    assert names(out) == ["photo.png"]
    assert size_of(out / "photo.png") == (60, 50)
    assert not (tmp_path / "data" / "mediagate.db").exists()


def test_run_writes_all_outputs_and_the_data_of_several_pictures(tmp_path: Path, photo_file: Path) -> None:
    other = picture(tmp_path / "other.png", 90)
    out = tmp_path / "out"
    done = run(tmp_path, "two", photo_file, other, "-o", out)
    assert done.returncode == DONE, done.stderr
    assert names(out) == [
        "other-large.jpg", "other-small.png", "other.json", "photo-large.jpg", "photo-small.png", "photo.json",
    ]  # fmt: skip
    (data,) = json.loads((out / "photo.json").read_text())
    assert (data["step"], data["op"]) == (3, "read_metadata")


def test_run_takes_steps_from_a_file(tmp_path: Path, photo_file: Path) -> None:
    steps = [{"op": "crop", "x": 0, "y": 0, "width": 30, "height": 20}, {"op": "save", "format": "webp"}]
    for written in (steps, {"steps": steps}):
        (tmp_path / "steps.json").write_text(json.dumps(written))
        done = run(tmp_path, "--steps", tmp_path / "steps.json", photo_file, "-o", tmp_path / "out", "--force")
        assert done.returncode == DONE, done.stderr
        assert size_of(tmp_path / "out" / "photo.webp") == (30, 20)


def test_run_takes_the_picture_of_a_watermark(tmp_path: Path, photo_file: Path) -> None:
    logo = picture(tmp_path / "logo.png", 30)
    done = run(tmp_path, "marked", photo_file, "-o", tmp_path / "out", "--picture", f"logo={logo}")
    assert done.returncode == DONE, done.stderr
    missing = run(tmp_path, "marked", photo_file, "-o", tmp_path / "out")
    assert (missing.returncode, "picture" in missing.stderr) == (WRONG, True)


def test_run_replaces_files_only_if_forced(tmp_path: Path, photo_file: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "photo-small.png").write_text("mine")
    refused = run(tmp_path, "two", photo_file, "-o", out)
    assert refused.returncode == FAILED
    assert "exists; choose another folder, or replace it with --force" in refused.stderr
    assert (names(out), (out / "photo-small.png").read_text()) == (["photo-small.png"], "mine")
    forced = run(tmp_path, "two", photo_file, "-o", out, "--force")
    assert forced.returncode == DONE, forced.stderr
    assert size_of(out / "photo-small.png")[0] == 40


def test_run_does_not_replace_a_picture_of_the_same_run(tmp_path: Path, photo_file: Path) -> None:
    (tmp_path / "more").mkdir()
    same = picture(tmp_path / "more" / "photo.png", 30)
    done = run(tmp_path, "two", photo_file, same, "-o", tmp_path / "out", "--force")
    assert done.returncode == FAILED
    assert "another picture has been written to photo-large.jpg" in done.stderr
    assert size_of(tmp_path / "out" / "photo-large.jpg") == (100, 80)


def test_run_writes_no_file_of_a_picture_that_is_rejected(tmp_path: Path, photo_file: Path) -> None:
    forbidden = picture(tmp_path / "forbidden.png", 106)
    done = run(tmp_path, "thumb", forbidden, photo_file, "-o", tmp_path / "out")
    assert done.returncode == REJECTED
    assert f"rejected {forbidden}: NUDE" in done.stderr
    assert names(tmp_path / "out") == ["photo.webp"]


def test_run_goes_on_after_a_picture_that_fails(tmp_path: Path, photo_file: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff" + bytes(500))
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(1_000_001))
    done = run(tmp_path, "thumb", broken, large, tmp_path / "missing.jpg", tmp_path, photo_file, "-o", tmp_path / "out")
    assert done.returncode == FAILED
    assert done.stderr.count("failed ") == 4
    assert "has more than 1,000,000 bytes" in done.stderr
    assert "cannot read" in done.stderr
    assert names(tmp_path / "out") == ["photo.webp"]


def test_run_names_the_step_that_failed(tmp_path: Path, photo_file: Path) -> None:
    steps = [{"op": "flip"}, {"op": "crop", "x": 500, "y": 0, "width": 30, "height": 20}, {"op": "save"}]
    (tmp_path / "steps.json").write_text(json.dumps(steps))
    done = run(tmp_path, "--steps", tmp_path / "steps.json", photo_file, "-o", tmp_path / "out")
    assert (done.returncode, names(tmp_path / "out")) == (FAILED, [])
    assert "operation_failed: step 2 (crop): " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["thumbb"], "there is no preset 'thumbb'; presets of this gate: thumb, two, marked"),
        (["thumb", "--param", "width=0"], "/params/width: at least 1"),
        (["thumb", "--param", "width=wide"], "/params/width: not a whole number"),
        (["thumb", "--param", "heigth=1"], "/params/heigth: this preset has no parameter 'heigth'"),
        (["thumb", "--param", "width"], "'width': write NAME=VALUE"),
    ],
)
def test_run_refuses_wrong_arguments(tmp_path: Path, photo_file: Path, arguments: list[str], words: str) -> None:
    done = run(tmp_path, arguments[0], photo_file, "-o", tmp_path / "out", *arguments[1:])
    assert (done.returncode, names(tmp_path / "out")) == (WRONG, [])
    assert words in done.stderr


def test_run_lists_every_fault_of_steps(tmp_path: Path, photo_file: Path) -> None:
    (tmp_path / "steps.json").write_text('[{"op": "flipp"}, {"op": "save", "quality": 0}]')
    done = run(tmp_path, "--steps", tmp_path / "steps.json", photo_file, "-o", tmp_path / "out")
    assert done.returncode == WRONG
    assert "/0/op: there is no operation 'flipp'; did you mean 'flip'?" in done.stderr
    assert "/1/quality: at least 1" in done.stderr
    (tmp_path / "steps.json").write_text("{")
    done = run(tmp_path, "--steps", tmp_path / "steps.json", photo_file, "-o", tmp_path / "out")
    assert (done.returncode, "is not JSON" in done.stderr) == (WRONG, True)


def test_run_without_a_picture_or_without_the_plugin_says_what_to_do(tmp_path: Path, photo_file: Path) -> None:
    alone = run(tmp_path, "thumb", "-o", tmp_path / "out")
    assert (alone.returncode, "name a picture after the preset" in alone.stderr) == (WRONG, True)
    plain = run(tmp_path, "thumb", photo_file, "-o", tmp_path / "out", "--gate", "plain_gate:gate")
    assert plain.returncode == FAILED
    assert "add gate.register(pipelines" in plain.stderr


def test_run_shows_its_progress_on_a_terminal_only(tmp_path: Path, photo_file: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mediagate.cli", "run", "two", str(photo_file), "-o", str(tmp_path / "out")]
    environment = {
        **os.environ,
        "PYTHONPATH": PYTHONPATH,
        "MEDIAGATE_GATE": GATE,
        "MEDIAGATE_DATA_DIR": str(tmp_path / "data"),
    }
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # the other end is closed
            pass
        process.wait(timeout=60)
    os.close(ours)
    assert process.returncode == DONE, shown
    assert b"'photo.jpg', " in shown and b" of 4 steps: " in shown
    silent = run(tmp_path, "two", photo_file, "-o", tmp_path / "again")
    assert silent.stderr == ""


@pytest.mark.parametrize(
    ("photo", "name"),
    [
        ("a.jpg", "a"),
        ("../../x.png", "x"),
        (".hidden", "hidden"),
        ("-rf.png", "rf"),
        ("ä b;$(c).png", "ä_b_c"),
        ("...", "photo"),
        ("写" * 80 + ".jpg", "写" * 50),
    ],
)
def test_name_of_an_output_is_safe(photo: str, name: str) -> None:
    assert file_name(Path(photo), "large", "webp", alone=False) == f"{name}-large.webp"
    assert file_name(Path(photo), "large", "webp", alone=True) == f"{name}.webp"


def test_files_are_complete_or_not_there(tmp_path: Path) -> None:
    assert write_files(tmp_path, {"a": b"1", "b": b"2"}, force=False) == [tmp_path / "a", tmp_path / "b"]
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in ("a", "link"):
        with pytest.raises(InvalidParameter, match="exists"):
            write_files(tmp_path, {"new": b"3", taken: b"4"}, force=False)
    assert names(tmp_path) == ["a", "b", "link"]
    write_files(tmp_path, {"link": b"5"}, force=True)
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "link").read_bytes()) == (False, b"5")
    with pytest.raises(InvalidParameter, match="cannot write to"):
        write_files(tmp_path / "a", {"x": b"6"}, force=False)


def test_files_for_which_there_is_no_room_are_not_written_in_part(tmp_path: Path) -> None:
    with largest_file(10), pytest.raises(InvalidParameter, match="cannot write to"):
        write_files(tmp_path, {"a": b"1", "b": b"2" * 100}, force=True)
    assert names(tmp_path) == []


def test_run_renders_the_pages_of_a_document(tmp_path: Path) -> None:
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(encrypted(objects_of(words("one"), words("two"))))
    out = tmp_path / "out"
    done = run(tmp_path, "pages", scan, "-o", out, "--param", f"password={PASSWORD}")
    assert done.returncode == DONE, done.stderr
    assert names(out) == ["scan-p1.png", "scan-p2.png", "scan.json"]
    assert size_of(out / "scan-p2.png") == (200, 100)
    data = json.loads((out / "scan.json").read_text())
    assert [(one["page"], one["value"]["text"]) for one in data] == [(1, "one"), (2, "two")]
    refused = run(tmp_path, "pages", scan, "-o", out, "--param", "password=wrong-password")
    assert refused.returncode == FAILED
    assert "password_required" in refused.stderr and "wrong-password" not in refused.stderr


def test_run_joins_pictures_and_pages(tmp_path: Path, photo_file: Path) -> None:
    scan, bad = tmp_path / "scan.pdf", picture(tmp_path / "bad.jpg", 106)
    scan.write_bytes(a_document(b"", b""))
    out = tmp_path / "out"
    done = run(tmp_path, "joined", photo_file, bad, scan, "-o", out)
    assert done.returncode == REJECTED, done.stderr
    assert names(out) == ["photo.pdf"]
    assert (out / "photo.pdf").read_bytes().count(b"/Type /Page /Parent") == 3


def test_run_does_not_join_a_picture_whose_own_files_are_not_written(tmp_path: Path, photo_file: Path) -> None:
    (tmp_path / "other").mkdir()
    same_name = picture(tmp_path / "other" / photo_file.name, 90)
    steps = [{"op": "save", "as": "one", "format": "png"}, {"op": "save", "as": "all", "format": "pdf", "join": True}]
    (tmp_path / "steps.json").write_text(json.dumps(steps))
    out = tmp_path / "out"
    done = run(tmp_path, "--steps", tmp_path / "steps.json", photo_file, same_name, "-o", out)
    assert done.returncode == FAILED, done.stderr
    assert names(out) == ["photo-all.pdf", "photo-one.png"]
    assert (out / "photo-all.pdf").read_bytes().count(b"/Type /Page /Parent") == 1
