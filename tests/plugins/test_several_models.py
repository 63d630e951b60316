"""Several models on one gate: open_nsfw beside small ONNX models that score the mean of each channel."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mediagate import MODERATOR, JobStatus, MediaGate, Source, Status
from mediagate.errors import ConfigError
from mediagate.moderation.ensemble import Ensemble
from mediagate_plugins.nudenet import nudenet
from mediagate_plugins.onnx_moderation import onnx_moderation
from mediagate_plugins.open_nsfw import SHA256, open_nsfw
from tests.support.channel_model import channel_model
from tests.support.moderators import Fixed

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MakeGate = Callable[..., MediaGate]
RED, GREY = (250, 0, 0), (128, 128, 128)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Make a classifier whose three scores are the means of red, green and blue."""
    return channel_model(tmp_path / "model.onnx")


def picture(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (100, 80), colour).save(file, "PNG")
    return file.getvalue()


async def judged(gate: MediaGate, file: bytes, source_type: str = "post") -> Status:
    sent = await gate.upload(file, source_type=source_type, source_id="1")
    return await gate.wait(sent.job_id, timeout_s=60)


async def test_models_judge_together_and_a_source_can_leave_one_out(make_gate: MakeGate, model: Path) -> None:
    sources = {
        "post": Source(reject={"explicit": 0.5, "violent": 0.9}),
        "avatar": Source(reject={"explicit": 0.5}, moderators=("open_nsfw",)),
    }
    gate = make_gate(sources=sources, moderation="on")
    gate.register(open_nsfw)
    gate.register(
        onnx_moderation, name="gore", model=model, labels=("red", "green", "blue"), groups={"violent": {"red"}}
    )
    async with gate:
        good, bad = await judged(gate, picture(GREY)), await judged(gate, picture(RED))
        face = await judged(gate, picture(RED), "avatar")
        moderator = gate.parts.moderator
        assert isinstance(moderator, Ensemble)
        hashes = {name: getattr(one, "sha256", None) for name, one in moderator.members.items()}
    assert (good.status, bad.status, face.status) == (JobStatus.COMPLETE, JobStatus.REJECTED, JobStatus.COMPLETE)
    assert good.job.verdict is not None
    assert bad.job.verdict is not None
    assert face.job.verdict is not None
    assert good.job.verdict.scores.keys() == {"sfw", "nsfw", "red", "green", "blue"}
    assert good.job.verdict.scores["red"] == pytest.approx(128 / 255, abs=0.01)
    assert good.job.verdict.models == hashes
    assert hashes["open_nsfw"] == SHA256
    assert good.job.verdict.model == "open-nsfw.onnx + model.onnx"
    assert bad.job.verdict.flags == ("violent",)
    assert face.job.verdict.scores.keys() == {"sfw", "nsfw"}
    assert face.job.verdict.models == {"open_nsfw": SHA256}
    assert good.job.model_runs == 2 * face.job.model_runs


async def test_one_file_as_two_models_prefixes_their_labels(make_gate: MakeGate, model: Path) -> None:
    source = Source(reject={"one/red": 0.9, "warm": 0.95})
    gate = make_gate(sources={"post": source}, moderation="on")
    labels = ("red", "green", "blue")
    gate.register(onnx_moderation, name="one", model=model, labels=labels)
    gate.register(onnx_moderation, name="two", model=model, labels=labels, colour="bgr", groups={"warm": {"blue"}})
    async with gate:
        status = await judged(gate, picture(RED))
    assert status.job.verdict is not None
    assert status.job.verdict.flags == ("one/red", "warm")
    assert status.job.verdict.scores["two/blue"] == pytest.approx(250 / 255, abs=0.01)


async def test_group_of_two_plugins_has_the_labels_of_both(make_gate: MakeGate) -> None:
    gate = make_gate(sources={"post": Source(reject={"explicit": 0.5})}, moderation="on")
    gate.register(open_nsfw)
    gate.register(nudenet)
    async with gate.assembled():
        groups = gate[MODERATOR].groups
    assert {"nsfw", "FEMALE_BREAST_EXPOSED"} < groups["explicit"]
    assert groups["suggestive"]


async def test_models_of_one_name_stop_the_boot(make_gate: MakeGate, model: Path) -> None:
    gate = make_gate(sources={"post": Source(reject={"a": 0.5})}, moderation="on")
    for _ in range(2):
        gate.register(onnx_moderation, model=model, labels=("a", "b", "c"))
    with pytest.raises(ConfigError, match="several moderators are named onnx_moderation"):
        await gate.open()


async def test_model_without_a_threshold_stops_the_boot(make_gate: MakeGate, model: Path) -> None:
    gate = make_gate(sources={"post": Source(reject={"explicit": 0.5})}, moderation="on")
    gate.register(open_nsfw)
    gate.register(onnx_moderation, name="gore", model=model, labels=("a", "b", "c"))
    with pytest.raises(ConfigError, match="no threshold reads a score of the moderator 'gore'"):
        await gate.open()


async def test_moderator_that_a_source_misspells_stops_the_boot(make_gate: MakeGate) -> None:
    gate = make_gate(sources={"post": Source(reject={"explicit": 0.5}, moderators=("nsfw",))}, moderation="on")
    gate.register(open_nsfw)
    with pytest.raises(ConfigError, match="no moderator is named 'nsfw'; the gate has open_nsfw"):
        await gate.open()


async def test_failing_model_among_several_publishes_nothing(
    make_gate: MakeGate, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = {"post": Source(reject={"explicit": 0.5, "red": 0.9})}
    gate = make_gate(sources=sources, moderation="on", max_attempts=1)
    gate.register(open_nsfw)
    gate.register(onnx_moderation, name="gore", model=model, labels=("red", "green", "blue"))
    gate.decorate(MODERATOR, Fixed("broken", {}, fails="no answer"))
    async with gate:
        status = await judged(gate, picture(GREY))
    assert (status.status, status.job.code) == (JobStatus.FAILED, "moderation_failed")
    assert "broken: no answer" in caplog.text
    assert status.media is None
