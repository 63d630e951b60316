"""NudeNet with its real model on real, harmless photos."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from PIL import Image

import mediagate
from mediagate import MODERATOR, MediaGate, Source
from mediagate.errors import ConfigError
from mediagate.images import ImagePool
from mediagate.images.pixels.picture import PixelPicture
from mediagate_plugins.nudenet import GROUPS, SHA256, model_file, nudenet
from mediagate_plugins.nudenet import __file__ as plugin_file
from mediagate_plugins.onnx_moderation import onnx_moderation

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gates of these tests have no settings of their own."""
    monkeypatch.setenv("MEDIAGATE_DATA_DIR", str(tmp_path / "data"))


def gate_with(model: Path | None = None) -> MediaGate:
    gate = MediaGate(sources={"avatar": Source(reject={"explicit": 0.5, "suggestive": 0.9, "FACE_FEMALE": 0.9})})
    gate.register(nudenet, model=model)
    return gate


async def test_nudenet_finds_faces_in_photos_of_people_and_nothing_in_a_cat(data: Path) -> None:
    gate = gate_with()
    async with gate.assembled():
        moderator = gate[MODERATOR]
    moderator.prepare()
    scores = {
        name: moderator.judge(PixelPicture(Image.open(data / "moderation" / name).convert("RGB"))).scores
        for name in ("astronaut.png", "grace_hopper.jpg", "chelsea.png")
    }
    assert scores["astronaut.png"]["FACE_FEMALE"] == pytest.approx(0.83, abs=0.02)
    assert scores["grace_hopper.jpg"]["FACE_FEMALE"] == pytest.approx(0.81, abs=0.02)
    assert max(scores["chelsea.png"].values()) < 0.2
    for photo in scores.values():
        assert max(photo[label] for group in GROUPS.values() for label in group) < 0.2


async def test_nudenet_judges_in_image_processes(data: Path) -> None:
    source = Source(reject={"FACE_FEMALE": 0.5, "explicit": 0.5})
    gate = gate_with()
    async with gate.assembled():
        moderator = gate[MODERATOR]
    images = ImagePool(processes=1, memory_bytes=512 * 1024 * 1024, timeout_s=30, moderator=moderator)
    try:
        await images.open()
        face = await images.render((data / "moderation" / "astronaut.png").read_bytes(), source)
        cat = await images.render((data / "moderation" / "chelsea.png").read_bytes(), source)
    finally:
        await images.close()
    assert (face.verdict.decision, face.verdict.flags) == ("reject", ("FACE_FEMALE",))
    assert face.verdict.reason == "Content moderation failed"
    assert face.verdict.confidence == pytest.approx(0.83, abs=0.02)
    assert face.verdict.model == "320n.onnx"
    assert not face.variants
    assert (cat.verdict.decision, cat.verdict.flags) == ("allow", ())
    assert len(cat.verdict.scores) == 18
    assert cat.variants


async def test_nudenet_has_18_labels_and_groups_of_them() -> None:
    gate = gate_with()
    async with gate.assembled():
        moderator = gate[MODERATOR]
    assert len(moderator.labels) == 18
    assert dict(moderator.groups) == dict(GROUPS)
    assert {"FACE_FEMALE", "FACE_MALE", "BELLY_EXPOSED"} < moderator.labels
    assert {label for label in moderator.labels if label.endswith("_EXPOSED")} - GROUPS["explicit"] == {
        "ARMPITS_EXPOSED",
        "BELLY_EXPOSED",
        "FEET_EXPOSED",
        "MALE_BREAST_EXPOSED",
    }


async def test_nudenet_boot_log_messages_are_short(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with gate_with().assembled():
        pass
    assert "18 labels" in caplog.text
    assert max(len(record.getMessage()) for record in caplog.records) < 200


async def test_nudenet_accepts_other_groups_and_another_file(tmp_path: Path) -> None:
    gate = MediaGate(sources={"avatar": Source(reject={"faces": 0.5})})
    gate.register(nudenet, groups={"faces": {"FACE_FEMALE", "FACE_MALE"}}, model=model_file())
    async with gate.assembled():
        assert gate[MODERATOR].groups == {"faces": frozenset({"FACE_FEMALE", "FACE_MALE"})}
    gate = gate_with(model=tmp_path / "640m.onnx")
    with pytest.raises(ConfigError, match=r"cannot read .*640m\.onnx"):
        async with gate.assembled():
            pass


def test_nudenet_file_is_that_of_the_package_and_its_hash_is_known() -> None:
    assert model_file() == Path(str(distribution("nudenet").locate_file("nudenet/320n.onnx")))
    assert hashlib.sha256(model_file().read_bytes()).hexdigest() == SHA256


async def test_nudenet_of_another_content_stops_the_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate_plugins.nudenet.SHA256", "0" * 64)
    with pytest.raises(ConfigError, match=rf"has the SHA-256 {SHA256}, not the expected 0{{64}}"):
        async with gate_with().assembled():
            pass
    async with gate_with(model=model_file()).assembled():
        pass


async def test_unknown_label_in_a_threshold_stops_the_boot() -> None:
    gate = MediaGate(sources={"avatar": Source(reject={"explict": 0.5})})
    gate.register(nudenet)
    with pytest.raises(ConfigError, match="did you mean 'explicit'"):
        async with gate.assembled():
            pass


async def test_labels_that_do_not_fit_the_model_stop_the_boot() -> None:
    gate = MediaGate(sources={"avatar": Source(reject={"a": 0.5})})
    gate.register(onnx_moderation, model=model_file(), labels=["a", "b", "c"])
    with pytest.raises(ConfigError, match=r"scores 18 labels per box .* but 3 are given"):
        async with gate.assembled():
            pass


def test_nudenet_package_and_opencv_are_never_imported() -> None:
    program = (
        "import sys\n"
        "from mediagate_plugins.nudenet import model_file\n"
        "from mediagate_plugins.onnx_moderation import Options, load\n"
        "assert 'onnxruntime' not in sys.modules and 'numpy' not in sys.modules\n"
        "load(Options(model=model_file())).prepare()\n"
        "print(*sorted({'onnxruntime', 'nudenet', 'cv2'} & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["onnxruntime"]


def test_nudenet_without_the_package_names_the_extra(tmp_path: Path) -> None:
    installed = Path(pytest.__file__).parents[1]
    for entry in installed.iterdir():
        if not entry.name.startswith("nudenet"):
            (tmp_path / entry.name).symlink_to(entry)
    roots = [str(Path(source).parents[depth]) for source, depth in ((mediagate.__file__, 1), (plugin_file, 1))]
    ended = subprocess.run(
        [sys.executable, "-S", "-c", "from mediagate_plugins.nudenet import model_file; model_file()"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*roots, str(tmp_path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'pip install "mediagate[nudenet]"' in ended.stderr
