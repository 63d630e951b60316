"""A pipeline inside an image process: decode once, judge, run the steps in order, judge every file that is saved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from math import prod
from time import perf_counter
from typing import Literal

from mediagate.config import Source, VariantSpec
from mediagate.errors import ImageTooLarge, MediagateError, ModerationFailed, OperationFailed
from mediagate.images import documents, pixels
from mediagate.images.judgement import OFF, judge
from mediagate.images.operations import ORIGINAL, Context, File, Frames, Operations, Page, Recipe, Step
from mediagate.images.pixels.allocation import ran_out_of_memory
from mediagate.images.render import Timings
from mediagate.images.step_limits import check_pixels
from mediagate.images.step_results import check_result, sent_data
from mediagate.images.wire import ERRORS
from mediagate.moderation import Moderator, merge
from mediagate.values import (
    LONGEST_WARNING,
    MOST_OUTPUT_BYTES,
    ImageInfo,
    OutputFile,
    Produced,
    StepData,
    StepEnd,
    StepWarning,
    Verdict,
)

log = logging.getLogger("mediagate")
ENCODING_SHARE = 0.8
"""The part of the time limit that encoding may take on an idle core."""


class _Refused(BaseException):
    """A picture may not be published. Never leaves this module; no step may handle it as an error of its own."""


def run(
    data: bytes,
    recipe: Recipe,
    source: Source,
    operations: Operations,
    moderator: Moderator | None,
    *,
    page: int | None = None,
    inputs: Mapping[str, bytes] | None = None,
    memory_bytes: int | None = None,
    time_s: float | None = None,
    judged: Callable[[], None] = lambda: None,
    told: Callable[[StepEnd], None] = lambda _: None,
) -> Produced:
    """Run the steps of a recipe on an uploaded file under the limits of its source.

    All inputs are judged before the first step, and the pixels of every output before they are encoded, each with the
    scrutiny of the source as if it were published at full size. If one is not allowed, the result has no outputs and no
    data. ``page`` is the number of the page to render of a document, ``None`` for a picture. ``inputs`` are further
    files by name; ``judged`` is called when all inputs are allowed, ``told`` with the end of each step. Raises the
    errors of ``render``, ``PasswordRequired`` and ``OperationFailed``; one that was raised in a step names it in
    ``step`` and ``op``.
    """
    work = _Work(source, operations, moderator, memory_bytes, time_s, told)
    work.file = data
    try:
        frames = work.enter(data, recipe, page, inputs or {})
        judged()
        work.run(recipe, frames)
    except _Refused:
        work.outputs, work.data = [], []
    return work.result()


def load(recipe: Recipe, operations: Operations) -> None:
    """Load the models of the steps, unless this process has them."""
    for step in recipe.steps:
        with suppress(Exception):  # the step itself tries again and reports it
            operations[step.op].load(step.params)


@dataclass(slots=True)
class _Work:
    """The state of one pipeline."""

    source: Source
    operations: Operations
    moderator: Moderator | None
    memory_bytes: int | None
    time_s: float | None
    told: Callable[[StepEnd], None]
    file: bytes = b""
    started: float = field(default_factory=perf_counter)
    timings: Timings = field(default_factory=Timings)
    verdicts: list[Verdict] = field(default_factory=list)
    judged: set[bytes] = field(default_factory=set)
    allowed: Frames | None = None
    """The frames that were allowed last in this step."""
    model_runs: int = 0
    decoded: pixels.Decoded | None = None
    page: Page | None = None
    """The page that was rendered, if the file is a document."""
    inputs: dict[str, Frames] = field(default_factory=dict)
    pictures: dict[str, Frames] = field(default_factory=dict)
    """The pictures that later steps start from, by name."""
    outputs: list[OutputFile] = field(default_factory=list)
    data: list[StepData] = field(default_factory=list)
    data_bytes: int = 0
    ends: list[StepEnd] = field(default_factory=list)
    warnings: list[StepWarning] = field(default_factory=list)
    spent_ms: float = 0.0

    def enter(self, data: bytes, recipe: Recipe, page: int | None, inputs: Mapping[str, bytes]) -> Frames:
        """Decode and judge the inputs, or render and judge a page; return the frames of the first."""
        if page is None:
            self.decoded, frames = self._decode(data)
        else:
            with _within(0, recipe.steps[0]), self.timings.step("render"):
                self.decoded, self.page = documents.rendered(data, recipe, page, self.source, self.memory_bytes)
            frames = Frames(tuple(self.decoded.frames))
        self._judge(frames)
        for name, file in inputs.items():
            _, self.inputs[name] = self._decode(file)
            self._judge(self.inputs[name])
        return frames

    def run(self, recipe: Recipe, frames: Frames) -> None:
        """Run the steps in the order in which they are written."""
        self.pictures = {ORIGINAL: frames} if ORIGINAL in recipe.kept else {}
        limit_s = float("inf") if self.time_s is None else self.time_s * ENCODING_SHARE
        time = pixels.EncodingTime(limit_s)
        for number, step in enumerate(recipe.steps):
            context = Context(self.file, self._info.format, self.inputs, self.page, time, self._judge)
            began = perf_counter()
            status: Literal["done", "skipped"] = "done"
            with _within(number, step):
                try:
                    frames = self._run_step(number, step, recipe, frames, context)
                except MediagateError as exc:
                    if step.on_error != "skip" or isinstance(exc, ModerationFailed):
                        raise
                    status = "skipped"
                    frames = self.pictures.get(step.start or "", frames)
                    self.warnings.append(StepWarning(number, exc.code, exc.client_detail[:LONGEST_WARNING]))
            self.warnings += [StepWarning(number, code, detail) for code, detail in context.warnings]
            ms = round((perf_counter() - began) * 1000 + (self.timings.get("render", 0) if number == 0 else 0), 2)
            end = StepEnd(number, step.op, status, ms)
            self.ends.append(end)
            self.told(end)

    def result(self) -> Produced:
        """Return what there is."""
        decoded = self.decoded
        assert decoded is not None
        return Produced(
            verdict=self._verdict(),
            info=decoded.info,
            outputs=tuple(self.outputs),
            data=tuple(self.data),
            steps=tuple(self.ends),
            warnings=tuple(self.warnings),
            notes=decoded.warnings,
            removed=decoded.removed,
            timings_ms=dict(self.timings),
            model_runs=self.model_runs,
        )

    @property
    def _info(self) -> ImageInfo:
        assert self.decoded is not None
        return self.decoded.info

    def _run_step(self, number: int, step: Step, recipe: Recipe, before: Frames, context: Context) -> Frames:
        """Run one step and return the frames that it leaves."""
        frames, self.allowed = before, None
        if step.start is not None:
            if step.start not in self.pictures:
                raise OperationFailed(f"the step that saves {step.start!r} was skipped")
            frames = self.pictures[step.start]
        operation = self.operations[step.op]
        if operation.takes != "picture" and self.page is None:
            raise OperationFailed(f"the file is {self._info.format}, not a document; leave {step.op} out")
        with _guarded(step):
            size = operation.resized(step.params, frames.size)
            check_pixels(size, len(frames.images), self.source)
            self._check_cost(step, max(frames.pixels, prod(size) * len(frames.images)), len(frames.images))
            result = operation.apply(frames, step.params, context)
        check_result(operation, frames, result)
        if isinstance(result, Frames):
            check_pixels(result.size, len(result.images), self.source)
            return result
        if isinstance(result, File):
            self._keep(step, result)
            if step.saves_as in recipe.kept:
                self.pictures[str(step.saves_as)] = frames
        else:
            data, sent = sent_data(result, self.data_bytes)
            self.data_bytes += sent
            self.data.append(StepData(number, step.op, data))
        return frames

    def _check_cost(self, step: Step, count: int, frames: int) -> None:
        """Refuse a step that takes more memory than an image may use, or more time than is left for all steps."""
        cost = self.operations[step.op].cost_of(step.params, count, frames)
        spent_ms = self.spent_ms + cost.cpu_ms
        held = sum(4 * frames.pixels for frames in (*self.pictures.values(), *self.inputs.values())) + 8 * count
        if self.memory_bytes is not None and held + cost.bytes > self.memory_bytes:
            raise ImageTooLarge("the step needs more memory than one image may use; resize the picture before it")
        if self.time_s is not None and spent_ms > self.time_s * 1000:
            raise ImageTooLarge(
                f"the steps so far take about {spent_ms / 1000:.0f} s, and one image may take {self.time_s:g} s; "
                "resize the picture before them, or leave steps out"
            )
        self.spent_ms = spent_ms

    def _keep(self, step: Step, file: File) -> None:
        kept = sum(len(output.data) for output in self.outputs) + len(file.data)
        if kept > MOST_OUTPUT_BYTES:
            raise ImageTooLarge(f"the outputs have more than {MOST_OUTPUT_BYTES:,} bytes")
        shown = file.shown
        self._judge(shown)  # an operation of a plugin may not have asked for it
        self.outputs.append(OutputFile(str(step.saves_as), file.format, *shown.size, len(shown.images), file.data))

    def _decode(self, data: bytes) -> tuple[pixels.Decoded, Frames]:
        # At full scale, and with the colours in which every output is published.
        whole = self.source.model_copy(
            update={"original": "keep", "colour": "srgb", "variants": {"small": VariantSpec(width=1)}}
        )
        with pixels.final("decoding"), self.timings.step("decode"):
            decoded = pixels.decode(data, whole, self.memory_bytes)
        return decoded, Frames(tuple(decoded.frames), tuple(decoded.durations_ms), decoded.plays)

    def _judge(self, frames: Frames) -> None:
        """Judge frames as published at full size, unless the same pixels were; raise unless they are allowed."""
        if self.moderator is None or frames is self.allowed:
            return
        digest = sha256(repr((frames.size, frames.images[0].mode, frames.durations_ms, frames.plays)).encode())
        for image in frames.images:
            digest.update(image.tobytes())
        if digest.digest() in self.judged:
            self.allowed = frames
            return
        left_s = None if self.time_s is None else max(0.0, self.time_s - (perf_counter() - self.started))
        published = self.source.model_copy(update={"original": "keep"})
        with self.timings.step("moderate"):
            verdict, runs = judge(
                frames.images, frames.durations_ms, frames.plays, {}, published, self.moderator, time_s=left_s
            )
        self.judged.add(digest.digest())
        self.model_runs += runs
        self.verdicts.append(verdict)
        if verdict.decision != "allow":
            raise _Refused
        self.allowed = frames

    def _verdict(self) -> Verdict:
        return merge(self.verdicts) if self.verdicts else OFF


@contextmanager
def _guarded(step: Step) -> Iterator[None]:
    """Turn every exception of the block into an error that the host knows: the same picture would raise it again."""
    try:
        yield
    except tuple(ERRORS.values()):
        raise
    except Exception as exc:
        if ran_out_of_memory(exc):
            raise ImageTooLarge(
                "the step needs more memory than one image may use; resize the picture before"
            ) from None
        log.exception("operation %s failed", step.op)
        raise OperationFailed(f"the operation failed on this picture with {type(exc).__name__}") from exc


@contextmanager
def _within(number: int, step: Step) -> Iterator[None]:
    """Name the step in every error of the block."""
    try:
        yield
    except MediagateError as exc:
        exc.step, exc.op = number, step.op
        raise
