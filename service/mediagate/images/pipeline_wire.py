"""The messages of a pipeline: that its inputs are allowed, the end of each step, the answer. The host trusts none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mediagate.config import Source
from mediagate.images.answer_shapes import INFO, LONGEST_EDGE, MAX_PREVIEWS, VERDICT
from mediagate.images.file_checks import BYTES_PER_PIXEL, FRAME_HEADERS, JOINED, SAVED_AS, SIGNATURES
from mediagate.images.json_shapes import (
    Malformed,
    Read,
    Shape,
    json_object,
    number,
    several,
    table,
    text,
    whole,
)
from mediagate.images.wire import (
    HEAD_BYTES,
    MOST_STEPS,
    Pipe,
    answered,
    check_info,
    encoded,
    receive_bytes,
    receive_head,
)
from mediagate.values import (
    LONGEST_WARNING,
    MOST_OUTPUT_BYTES,
    MOST_WARNINGS,
    WARNING_CODE,
    OutputFile,
    Produced,
    StepData,
    StepEnd,
    StepWarning,
)

if TYPE_CHECKING:
    from mediagate.images.operations import Operations, Recipe

JUDGED = "judge"
"""What the host is told when all inputs are allowed."""
MOST_DATA_BYTES = HEAD_BYTES // 2
"""Bytes of the JSON of all data together, which is sent with the rest of the answer."""
FORMATS = ("webp", "avif", "jpeg", "png", "gif", "pdf")
OP = text(64, "[a-z0-9_]+")
DATA = json_object(100_000, 200_000)
"""What one step may give: a few thousand words, each with its place."""
STEP_END = Shape(StepEnd, step=whole(0, MOST_STEPS), op=OP, status=text(10, "done|skipped"), ms=number())


def _file(data: Read) -> Read:
    return Shape(
        OutputFile,
        name=text(64, "[a-z0-9_-]+"),
        format=text(4, "|".join(FORMATS)),
        width=whole(1, LONGEST_EDGE),
        height=whole(1, LONGEST_EDGE),
        frames=whole(1, 1_000_000),
        data=data,
    )


def _produced(data: Read) -> Read:
    return Shape(
        Produced,
        verdict=VERDICT,
        info=INFO,
        outputs=several(_file(data), MOST_STEPS),
        data=several(Shape(StepData, step=whole(0, MOST_STEPS), op=OP, value=DATA), MOST_STEPS),
        steps=several(STEP_END, MOST_STEPS),
        warnings=several(
            Shape(StepWarning, step=whole(0, MOST_STEPS), code=text(64, WARNING_CODE), detail=text(LONGEST_WARNING)),
            MOST_WARNINGS * MOST_STEPS,
        ),
        notes=several(text(2000), 100),
        removed=several(text(40, "[a-z_]+"), 50),
        timings_ms=table(text(40), number(), 100),
        model_runs=whole(0, 10_000_000),
        previews=several(data, MAX_PREVIEWS),
    )


def send_step(pipe: Pipe, end: StepEnd) -> None:
    """Tell the host that a step has ended."""
    pipe.send_bytes(encoded({"step": end}))


def receive_produced(
    pipe: Pipe,
    *,
    recipe: Recipe,
    source: Source,
    operations: Operations,
    memory_bytes: int,
    previews: bool,
    judged: Callable[[], None],
    told: Callable[[StepEnd], None],
) -> Produced:
    """Return the result of a recipe; raises like ``wire.receive``.

    Before, ``judged`` is called when all inputs are allowed, and ``told`` with the end of each step. Only files and
    data of steps of this recipe are accepted; files together may not exceed the memory of an image.
    """
    left = min(memory_bytes, MOST_OUTPUT_BYTES * 2)

    def data(size: Any) -> bytes:
        nonlocal left
        left -= whole(1, left)(size)
        sent = receive_bytes(pipe, size)
        if len(sent) != size:
            raise Malformed("a length that differs from the announced one")
        return sent

    ends: list[StepEnd] = []
    message = receive_head(pipe)
    allowed = message == {"stage": JUDGED}
    if allowed:
        judged()
        message = receive_head(pipe)
    while allowed and type(message) is dict and message.keys() == {"step"}:
        end: StepEnd = STEP_END(message["step"])
        _check_end(end, len(ends), recipe)
        ends.append(end)
        told(end)
        message = receive_head(pipe)
    answer: Produced = answered(message, _produced(data))
    _check(answer, ends, recipe, source, operations)
    if bool(answer.previews) != (previews and answer.verdict.decision == "allow"):
        raise Malformed("unrequested previews, or missing ones")
    if not all(map(SIGNATURES["jpeg"].match, answer.previews)):
        raise Malformed("previews that are not JPEGs")
    return answer


def _check(answer: Produced, ends: list[StepEnd], recipe: Recipe, source: Source, operations: Operations) -> None:
    check_info(answer.info, source)
    if answer.info.format == "pdf" and answer.info.frames != 1:
        raise Malformed("more than one page of a document")
    if list(answer.steps) != ends:
        raise Malformed("steps that did not end as told")
    if answer.verdict.decision != "allow":
        if answer.outputs or answer.data or answer.previews:
            raise Malformed("files or data of a picture that may not be published")
        return
    if len(ends) != len(recipe.steps):
        raise Malformed("an answer before all steps have ended")
    saved = [step.saves_as for step, end in zip(recipe.steps, ends, strict=True) if step.saves_as and _done(end)]
    if [file.name for file in answer.outputs] != saved:
        raise Malformed("outputs that were not requested, or missing ones")
    giving = [end.step for end in ends if operations[end.op].gives == "data" and _done(end)]
    if [(data.step, data.op) for data in answer.data] != [(at, recipe.steps[at].op) for at in giving]:
        raise Malformed("data that was not requested, or missing")
    if any(warning.step >= len(ends) for warning in answer.warnings):
        raise Malformed("a warning about a step that does not exist")
    for file in answer.outputs:
        _check_file(file, answer, recipe, source)


def _check_end(end: StepEnd, expected: int, recipe: Recipe) -> None:
    if end.step != expected or end.step >= len(recipe.steps):
        raise Malformed("the end of a step out of order")
    step = recipe.steps[end.step]
    if end.op != step.op or (not _done(end) and step.on_error != "skip"):
        raise Malformed("the end of another step")


def _check_file(file: OutputFile, answer: Produced, recipe: Recipe, source: Source) -> None:
    params, own = recipe.outputs[file.name].params, answer.info.format
    wanted = getattr(params, "format", None) or SAVED_AS.get(own, own)
    wanted = JOINED if getattr(params, "join", False) else wanted
    if file.format not in (wanted, {"avif": "webp"}.get(wanted)):
        raise Malformed("a file of a format that was not requested")
    if file.width * file.height > source.max_pixels or file.frames > answer.info.frames:
        raise Malformed("a file beyond the limits of its source")
    if len(file.data) > file.frames * (file.width * file.height * BYTES_PER_PIXEL + FRAME_HEADERS):
        raise Malformed("a file with more bytes than its pixels can need")
    if not SIGNATURES[file.format].match(file.data):
        raise Malformed("a file that is not of its declared format")


def _done(end: StepEnd) -> bool:
    return end.status == "done"
