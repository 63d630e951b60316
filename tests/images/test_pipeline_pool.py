"""Pipelines in image processes: progress, limits, crashes, walls, and answers of a process that may be compromised."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mediagate import MODERATOR, MediaGate, Moderator, Picture, Settings, Source, Verdict
from mediagate.errors import ConfigError, ImageCrashed, ImageTimeout, ImageTooLarge, OperationFailed
from mediagate.images import ImagePool
from mediagate.images.operations import Operation, Operations, parse, standard, watermark_in
from mediagate.values import Produced, StepEnd
from mediagate_plugins.nudenet import nudenet
from tests.images.operations.test_watermark import font_bytes
from tests.images.test_pipeline import LOUD, Contrast, hidden, revealing
from tests.support import forked
from tests.support.charts import ramp, saved
from tests.support.forked import MIB, image_processes
from tests.support.lies import VERDICT, pipe
from tests.support.photos import ASTRONAUT, DATA
from tests.support.recipes import CHEAP, OPERATIONS, Nothing, opened, with_misbehaving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
STEPS: list[dict[str, Any]] = [
    {"op": "flip"},
    {"op": "read_metadata"},
    {"op": "save", "as": "a"},
    {"op": "mirror", "onError": "skip"},
    {"op": "save", "as": "b", "format": "webp", "onError": "skip"},
]


def pool_of(
    operations: Operations | None = OPERATIONS, moderator: Moderator | None = None, **limits: Any
) -> AbstractAsyncContextManager[ImagePool]:
    return forked.opened(moderator, operations=operations, **limits)


async def ran(
    pool: ImagePool, picture: Image.Image | bytes, *steps: Mapping[str, Any], source: Source = LOUD, **options: Any
) -> Produced:
    recipe = parse(list(steps), with_misbehaving(), inputs=tuple(options.get("inputs", ())))
    file = picture if isinstance(picture, bytes) else saved(picture, "PNG")
    return await pool.run_pipeline(file, recipe, source, **options)


async def test_pipeline_tells_the_end_of_each_step_while_it_runs() -> None:
    told: list[StepEnd] = []
    async with pool_of() as pool:
        produced = await ran(pool, ramp(64, 48), *STEPS, told=told.append)
    assert [end.op for end in told] == ["flip", "read_metadata", "save", "mirror", "save"]
    assert produced.steps == tuple(told)
    assert [opened(output).size for output in produced.outputs] == [(64, 48)] * 2
    assert produced.data[0].value == {"unreadable": [], "truncated": False}
    assert produced.timings_ms["cpu"] > 0


async def test_progress_arrives_before_the_pipeline_has_ended() -> None:
    first = asyncio.Event()
    async with pool_of(with_misbehaving(), timeout_s=4) as pool:
        running = asyncio.create_task(ran(pool, ramp(9, 9), {"op": "flip"}, {"op": "hang"}, told=lambda _: first.set()))
        await asyncio.wait_for(first.wait(), 3)
        assert not running.done()
        with pytest.raises(ImageTimeout) as late:
            await running
        assert (late.value.step, late.value.op) == (1, "hang")
        assert (await ran(pool, ramp(9, 9), {"op": "flip"})).outputs, "no new process took over"


async def test_step_that_crashes_ends_its_own_pipeline_only() -> None:
    async with pool_of(with_misbehaving()) as pool:
        with pytest.raises(ImageCrashed) as crashed:
            await ran(pool, ramp(9, 9), {"op": "flip"}, {"op": "mirror"}, {"op": "crash"})
        assert (crashed.value.step, crashed.value.op) == (2, "crash")
        assert (await ran(pool, ramp(9, 9), {"op": "flip"})).outputs


async def test_step_may_not_outgrow_the_memory_of_an_image() -> None:
    async with pool_of(with_misbehaving(), memory_bytes=128 * MIB) as pool:
        for step in ({"op": "hog"}, {"op": "resize", "percent": 700, "enlarge": True}):
            with pytest.raises(ImageTooLarge) as refused:
                await ran(pool, ramp(800, 800), step)
            assert refused.value.step == 0
        before = image_processes()
        assert (await ran(pool, ramp(9, 9), {"op": "flip"})).outputs
        assert image_processes() == before, "lack of memory ended a process"


async def test_steps_stay_within_the_estimated_memory() -> None:
    """What fits by the estimate must not run out of memory: every operation, on a picture as large as allowed."""
    steps: list[dict[str, Any]] = [
        {"op": "rotate", "degrees": 10, "expand": False},
        {"op": "deskew"},
        {"op": "straighten", "degrees": 3},
        {"op": "trim"},
        {"op": "look", "name": "sepia"},
        {"op": "blur", "radius": 5},
        {"op": "sharpen"},
        {"op": "pixelate", "size": 4},
        {"op": "vignette"},
        {"op": "grain"},
        {"op": "watermark", "text": "mine", "tiled": True},
        {"op": "resize", "percent": 50},
        {"op": "auto_contrast"},
        {"op": "white_balance"},
        {"op": "denoise"},
        {"op": "low_light"},
        {"op": "clahe"},
    ]
    async with pool_of(memory_bytes=256 * MIB) as pool:
        for step in steps:
            await ran(pool, saved(ramp(2400, 1600), "JPEG"), step, {"op": "save", "format": "jpeg"})


async def test_photo_of_12_megapixels_is_enhanced_within_the_default_memory() -> None:
    with Image.open(DATA / ASTRONAUT) as photo:
        large = photo.convert("RGB").resize((3464, 3464)).point([level // 3 for level in range(256)] * 3)
    steps = ["denoise", "low_light", "white_balance", "auto_contrast", "clahe", "remove_background"]
    async with pool_of(memory_bytes=Settings().image_memory_bytes) as pool:
        made = await ran(pool, saved(large, "JPEG"), *({"op": op} for op in steps), {"op": "save", "format": "webp"})
        before = image_processes()
        reduced = await ran(pool, saved(large, "JPEG"), {"op": "resize", "width": 400}, {"op": "upscale"})
        assert image_processes() == before
    assert (made.outputs[0].width, reduced.outputs[0].width) == (3464, 800)
    assert not made.warnings and not reduced.warnings


async def test_libraries_of_operations_do_not_count_as_memory_of_a_picture() -> None:
    """OpenCV alone takes more than this of the address space."""
    async with pool_of(memory_bytes=64 * MIB) as pool:
        assert (await ran(pool, ramp(99, 99), {"op": "clahe"})).outputs


async def test_steps_are_confined_to_their_files() -> None:
    async with pool_of(with_misbehaving()) as pool:
        assert pool.walls is not None and not pool.walls.missing
        with pytest.raises(OperationFailed, match="failed on this picture with PermissionError"):
            await ran(pool, ramp(9, 9), {"op": "opened_file"})


async def test_face_that_a_step_reveals_is_not_published(data: Path, tmp_path: Path) -> None:
    """With the real model: colours within a few levels hide a photo of a face, and a table brings it back."""
    gate = MediaGate(sources={"avatar": Source(reject={"FACE_FEMALE": 0.5})}, settings=Settings(data_dir=tmp_path))
    gate.register(nudenet)
    async with gate.assembled():
        moderator = gate[MODERATOR]
    with Image.open(data / "moderation" / "astronaut.png") as photo:
        faint = photo.convert("RGB").point([128 + value // 32 for value in range(256)] * 3)
    levels = [0] * 17 + [1] * 16  # between 127.5 and 135.5 everything from black to white
    colours = [f"{red} {green} {blue}" for blue in levels for green in levels for red in levels]
    table = "\n".join(["LUT_3D_SIZE 33", *colours])
    async with pool_of(moderator=moderator) as pool:
        source = Source(reject={"FACE_FEMALE": 0.5})
        save = {"op": "save", "as": "b"}
        harmless = await ran(pool, faint, {"op": "flip"}, {"op": "flip"}, source=source)
        assert harmless.verdict.decision == "allow" and harmless.outputs
        revealed = await ran(pool, faint, {"op": "save", "as": "a"}, {"op": "lut", "cube": table}, save, source=source)
    assert revealed.verdict.decision == "reject" and revealed.verdict.flags == ("FACE_FEMALE",)
    assert not revealed.outputs


async def test_errors_of_steps_name_them() -> None:
    async with pool_of() as pool:
        with pytest.raises(OperationFailed, match="outside of the picture") as failed:
            await ran(pool, ramp(9, 9), {"op": "flip"}, {"op": "crop", "x": 9, "y": 0, "width": 1, "height": 1})
        assert (failed.value.step, failed.value.op) == (1, "crop")


async def test_rejected_output_leaves_the_process_without_files() -> None:
    async with pool_of(moderator=Contrast()) as pool:
        steps = [{"op": "save", "as": "a"}, {"op": "lut", "cube": revealing()}, {"op": "save", "as": "b"}]
        produced = await ran(pool, hidden(), *steps)
        assert produced.verdict.decision == "reject" and not produced.outputs
        with_previews = await ran(pool, hidden(), {"op": "flip"}, previews=320)
        assert with_previews.previews and with_previews.outputs


async def test_inputs_reach_the_process() -> None:
    async with pool_of() as pool:
        step = {"op": "watermark", "picture": "logo"}
        assert (await ran(pool, ramp(99, 99), step, inputs={"logo": saved(ramp(9, 9), "PNG")})).outputs


async def test_gate_without_operations_runs_no_pipelines() -> None:
    async with pool_of(None) as pool:
        with pytest.raises(ConfigError, match="runs no pipelines"):
            await ran(pool, ramp(9, 9), {"op": "flip"})


async def test_operations_that_cannot_be_pickled_are_refused_at_the_start() -> None:
    own = Operation("own", "filter", Nothing, lambda frames, *_: frames, CHEAP)
    with pytest.raises(ConfigError, match="top level of modules"):
        async with pool_of(Operations([own])):
            pass


@dataclass(frozen=True)
class Liar:
    """Sends other messages in place of its process's answer for pictures of some widths, and then hangs."""

    messages: Mapping[int, tuple[bytes, ...]]
    labels: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def prepare(self) -> None: ...

    def judge(self, picture: Picture) -> Verdict:
        if picture.width in self.messages:
            end = pipe()
            for message in self.messages[picture.width]:
                end.send_bytes(message)
            while True:
                pass
        return Verdict(model="liar")


PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20
WEBP = b"RIFF0000WEBP" + b"x" * 20
FILES = [
    {"name": "a", "format": "png", "width": 99, "height": 64, "frames": 1, "data": len(PNG)},
    {"name": "b", "format": "webp", "width": 99, "height": 64, "frames": 1, "data": len(WEBP)},
]


def end(step: int, op: str | None = None, status: str = "done", **more: Any) -> dict[str, Any]:
    return {"step": step, "op": op or STEPS[step]["op"], "status": status, "ms": 1.0, **more}


ENDS = [end(step) for step in range(5)]


def answer(**changed: Any) -> dict[str, Any]:
    """Return an honest answer to ``STEPS``, but for what is changed in it."""
    return {
        "verdict": {**VERDICT, "decision": "allow"},
        "info": {"format": "png", "width": 99, "height": 64, "frames": 1},
        "outputs": FILES,
        "data": [{"step": 1, "op": "read_metadata", "value": {"a": 1}}],
        "steps": ENDS,
        "warnings": [],
        "notes": [],
        "removed": [],
        "timings_ms": {},
        "model_runs": 0,
        "previews": [],
        **changed,
    }


def messages(told: list[dict[str, Any]], **changed: Any) -> tuple[bytes, ...]:
    steps = [json.dumps({"step": each}).encode() for each in told]
    return (b'{"stage": "judge"}', *steps, json.dumps({"answer": answer(**changed)}).encode(), PNG, WEBP)


def lies() -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Yield answers that are none, by what is wrong with each."""
    yield "steps before the verdict", messages(ENDS)[1:]
    yield "another stage", (b'{"stage": "decode"}', *messages(ENDS)[1:])
    yield "a stage twice", (b'{"stage": "judge"}', *messages(ENDS))
    yield "a step out of order", messages([ENDS[1], ENDS[0], *ENDS[2:]])
    yield "a step twice", messages([ENDS[0], ENDS[0], *ENDS[1:]])
    yield "a step too many", messages([*ENDS, end(5, "save")], steps=[*ENDS, end(5, "save")])
    yield "another operation", messages([end(0, "mirror"), *ENDS[1:]])
    yield "an unknown status", messages([end(0, status="half"), *ENDS[1:]])
    yield "a skipped step that may not be skipped", messages([end(0, status="skipped"), *ENDS[1:]])
    yield "an unknown field of a step", messages([end(0, more=1), *ENDS[1:]])
    yield "a step that is no object", (b'{"step": [1]}',)
    yield "endless steps", tuple(json.dumps({"step": ENDS[0]}).encode() for _ in range(50))
    yield "an answer before the steps", messages(ENDS[:2])
    yield "other steps than told", messages(ENDS, steps=ENDS[:4])
    yield "a missing output", messages(ENDS, outputs=FILES[:1])
    yield "outputs in another order", messages(ENDS, outputs=FILES[::-1])
    yield "an output too many", (*messages(ENDS, outputs=[*FILES, FILES[0]]), PNG)
    yield (
        "an output of a skipped step",
        messages([*ENDS[:4], end(4, status="skipped")], steps=[*ENDS[:4], end(4, status="skipped")]),
    )
    for name, value in {
        "name": "c",
        "format": "gif",
        "width": 10**6,
        "height": 0,
        "frames": 2,
        "data": 10**9,
    }.items():
        yield f"an output with another {name}", messages(ENDS, outputs=[{**FILES[0], name: value}, FILES[1]])
    yield "a page for a picture", (*messages(ENDS)[:-2], b"<html>".ljust(len(PNG)), WEBP)
    yield "a file of another length", (*messages(ENDS)[:-2], PNG + b"x", WEBP)
    yield "files of a refused picture", messages(ENDS, verdict={**VERDICT, "decision": "reject"})
    yield "data of a refused picture", messages(ENDS, verdict={**VERDICT, "decision": "reject"}, outputs=[])
    yield "no data", messages(ENDS, data=[])
    yield "data of another step", messages(ENDS, data=[{"step": 0, "op": "flip", "value": {}}])
    yield "data that is no object", messages(ENDS, data=[{"step": 1, "op": "read_metadata", "value": [1]}])
    yield "too much data", messages(ENDS, data=[{"step": 1, "op": "read_metadata", "value": {"a": [1] * 200_000}}])
    deep: Any = {}
    for _ in range(50):
        deep = {"a": deep}
    yield "deep data", messages(ENDS, data=[{"step": 1, "op": "read_metadata", "value": deep}])
    yield "data with NaN", messages(ENDS, data=[{"step": 1, "op": "read_metadata", "value": {"a": float("nan")}}])
    yield "a warning about no step", messages(ENDS, warnings=[{"step": 9, "code": "a", "detail": ""}])
    yield "a warning with a wrong code", messages(ENDS, warnings=[{"step": 0, "code": "<b>", "detail": ""}])
    yield "previews", (*messages(ENDS, previews=[len(PNG)]), PNG)
    yield "another picture", messages(ENDS, info={"format": "png", "width": 10**6, "height": 10**6, "frames": 1})
    for place in ({"step": -1, "op": "a"}, {"step": 0}, {"op": "a"}, {"step": "0", "op": "a"}, {"step": 0, "op": 1}):
        yield (
            f"an error at {place}",
            (json.dumps({"error": {"code": "operation_failed", "detail": "", **place}}).encode(),),
        )


async def test_honest_answer_is_accepted() -> None:
    async with pool_of(moderator=Liar({99: messages(ENDS)})) as pool:
        produced = await ran(pool, ramp(99, 64), *STEPS, source=Source())
        assert [output.data for output in produced.outputs] == [PNG, WEBP]


async def test_crash_before_the_first_step_names_none() -> None:
    async with pool_of(moderator=Liar({99: (b"no JSON",)})) as pool:
        with pytest.raises(ImageCrashed) as crashed:
            await ran(pool, ramp(99, 64), *STEPS)
        assert crashed.value.step is None


async def test_malformed_answer_ends_its_process(caplog: pytest.LogCaptureFixture) -> None:
    told = dict(lies())
    async with pool_of(moderator=Liar(dict(enumerate(told.values(), 100)))) as pool:
        for width, lie in enumerate(told, 100):
            caplog.clear()
            with pytest.raises(ImageCrashed):
                await ran(pool, ramp(width, 64), *STEPS, source=Source())
            assert "compromised" in caplog.text, lie
        assert (await ran(pool, ramp(50, 50), *STEPS, source=Source())).outputs


async def test_font_of_the_operator_is_readable_in_the_process(tmp_path: Path) -> None:
    path = tmp_path / "own.ttf"
    path.write_bytes(font_bytes())
    operations = standard()
    operations.replace(watermark_in(path))
    async with pool_of(operations) as pool:
        assert (await ran(pool, ramp(99, 99), {"op": "watermark", "text": "Hi"})).outputs
