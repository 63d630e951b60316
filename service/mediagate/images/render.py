"""The pipeline inside an image process: decode once, judge, resize and encode, all from the same pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from threading import Lock
from time import perf_counter
from typing import NamedTuple

from mediagate.config import Source, VariantSpec
from mediagate.images import pixels
from mediagate.images.blurhash import SIDE, blurhash_of
from mediagate.images.changed_variants import changed_frames, judge_changed
from mediagate.images.cores import GiveBack
from mediagate.images.encoders import Encoders, always
from mediagate.images.judgement import judge
from mediagate.images.operations import Frames, Operations
from mediagate.images.thumbhash import thumbhash_of
from mediagate.moderation import Moderator
from mediagate.values import CropBox, Rendered, RenderedFile, file_names

WHITE = (255, 255, 255)
STILL_MS = 1000
"""The assumed duration of a frame that is not part of the animation."""
ENCODE_S_A_PIXEL: Mapping[str, float] = {"webp": 0.3e-6, "avif": 1.4e-6, "png": 0.15e-6, "jpeg": 0.1e-6}
"""Seconds per pixel of a nearly noisy picture at effort 4, by format; higher efforts take up to twice as long,
``HURRIED_EFFORT`` a third or less."""
ORIGINAL_S_A_PIXEL: Mapping[str, float] = {"webp": 0.15e-6, "avif": 0.25e-6, "png": 0.1e-6}
"""The same per pixel of the original, by the format of the upload; 0.1 microseconds for other formats."""
ENCODING_SHARE = 0.3
"""The part of the time limit that encoding may take on an idle core; with decoding it is a third."""
MOST_EFFORT, USUAL_EFFORT, HURRIED_EFFORT = 6, 4, 1


class _Made(NamedTuple):
    """One file of a variant that is being encoded."""

    format: str
    size: tuple[int, int]
    data: Future[bytes]


class _Placeholders(NamedTuple):
    """What stands for a picture until it is loaded."""

    blurhash: str
    thumbhash: str | None
    dominant_color: str


class Timings(dict[str, float]):
    """Milliseconds by step; steps run concurrently, so their sum may exceed the elapsed time."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the duration of the block."""
        started = perf_counter()
        try:
            yield
        finally:
            taken = (perf_counter() - started) * 1000
            with self._lock:
                self[name] = round(self.get(name, 0.0) + taken, 2)


def render(
    data: bytes,
    source: Source,
    focal: tuple[float, float],
    moderator: Moderator | None,
    *,
    crop: CropBox | None = None,
    operations: Operations | None = None,
    publish: bool = True,
    threads: int = 1,
    borrow: Callable[[], GiveBack | None] = always,
    memory_bytes: int | None = None,
    time_s: float | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Rendered:
    """Judge a file and, with ``publish`` and the verdict ``allow``, make its variants and its cleaned original.

    With ``crop`` this part of the picture counts as all of it. ``operations`` are those of variants' steps, by default
    mediagate's. ``threads`` (1 or 2) encode concurrently, the second only while ``borrow`` lends it a core. Refuses a
    picture that needs more than ``memory_bytes`` or cannot be judged in ``time_s`` seconds. ``told`` is called with
    "decode" and "judge" when these are done. Raises ``UnsupportedType``, ``UndecodableImage``, ``ImageTooLarge``,
    ``AnimationRefused``, ``ModerationFailed`` and ``OperationFailed``; ``MemoryError`` when decoded pixels outgrow the
    process.
    """
    started, timings = perf_counter(), Timings()
    with pixels.final("decoding"), timings.step("decode"):
        decoded = pixels.decode(data, source, memory_bytes, crop)
    told("decode")
    info, frames = decoded.info, decoded.frames
    whole = (info.width, info.height)
    plans = pixels.plan(whole, source, focal)

    def left_s() -> float | None:
        return None if time_s is None else max(0.0, time_s - (perf_counter() - started))

    with timings.step("moderate"):
        # Some programs read the values of a wide-gamut original as sRGB, so that look is judged as well.
        verdict, model_runs = judge(
            [*frames, *decoded.wide_frames],
            [*decoded.durations_ms, *(STILL_MS for _ in decoded.wide_frames)],
            decoded.plays,
            plans,
            source,
            moderator,
            working=frames,
            extent=decoded.extent,
            time_s=left_s(),
        )
    changed: dict[str, Frames] = {}
    if verdict.decision == "allow" and any(spec.steps for spec in source.variants.values()):
        with timings.step("steps"):
            changed, notes = changed_frames(decoded, plans, source, operations)
        with timings.step("moderate"):
            verdict, further_runs = judge_changed(verdict, changed, source, moderator, left_s)
        model_runs, decoded.warnings = model_runs + further_runs, (*decoded.warnings, *notes)
    told("judge")
    if not publish or verdict.decision != "allow":
        return Rendered(
            verdict,
            info,
            removed=decoded.removed,
            warnings=decoded.warnings,
            timings_ms=dict(timings),
            model_runs=model_runs,
        )

    time = pixels.EncodingTime() if time_s is None else pixels.EncodingTime(time_s * ENCODING_SHARE)
    with pixels.final("encoding"), Encoders(threads, borrow) as encoders:

        def original(of: pixels.Decoded) -> tuple[str, bytes]:
            with timings.step("original"):
                return pixels.encode_original(of, time_s, time)

        original_file = None
        if source.original == "keep":
            # With lists of its own: it may begin after the ones of this function were cleared.
            whole_size = replace(decoded, frames=[*frames], wide_frames=[*decoded.wide_frames])
            original_file = encoders.submit(original, whole_size)
            del whole_size
        variants, smallest = _variants(changed, decoded, source, plans, timings, encoders, time_s, time)
        placeholders = _placeholders(smallest, whole, source, timings)
        alpha = frames[0].mode == "RGBA"
        # What is left to encode has pixels of its own.
        del smallest
        frames.clear()
        decoded.wide_frames.clear()
        encoders.finish()
        kept = original_file.result() if original_file else None
        files = tuple(file for name in source.variants for file in _files(name, variants[name]))
    return Rendered(
        verdict=verdict,
        info=info,
        variants=files,
        original=RenderedFile("original", kept[0], *whole, kept[1]) if kept else None,
        blurhash=placeholders.blurhash,
        thumbhash=placeholders.thumbhash,
        dominant_color=placeholders.dominant_color,
        aspect_ratio=pixels.aspect_ratio(*whole),
        has_alpha=alpha,
        removed=decoded.removed,
        warnings=decoded.warnings,
        timings_ms=dict(timings),
        model_runs=model_runs,
    )


def _placeholders(shown: pixels.Image, whole: tuple[int, int], source: Source, timings: Timings) -> _Placeholders:
    with timings.step("blurhash"):
        tiny = pixels.square(shown, SIDE)
        color = pixels.dominant_color(shown)
        blurhash = blurhash_of(SIDE, SIDE, pixels.flattened(tiny, WHITE).tobytes())
    if "thumbhash" not in source.placeholders:
        return _Placeholders(blurhash, None, color)
    with timings.step("thumbhash"):
        return _Placeholders(blurhash, thumbhash_of(SIDE, SIDE, tiny.convert("RGBA").tobytes(), whole), color)


def _files(name: str, made: Sequence[_Made]) -> Iterator[RenderedFile]:
    for file_name, (image_format, size, data) in zip(file_names(name, (one.format for one in made)), made, strict=True):
        yield RenderedFile(file_name, image_format, *size, data.result())


def _variants(
    changed: Mapping[str, Frames],
    decoded: pixels.Decoded,
    source: Source,
    plans: dict[str, pixels.Crop],
    timings: Timings,
    encoders: Encoders,
    time_s: float | None,
    time: pixels.EncodingTime,
) -> tuple[dict[str, list[_Made]], pixels.Image]:
    """Make each size of the decoded picture; identical files are made only once.

    Variants with steps are made of their frames in ``changed``.

    Returns the files of each variant, one for each of its formats, and the smallest picture with enough pixels that
    shows all of the first frame.
    """

    def encoded(sized: list[pixels.Image], image_format: str, quality: int, effort: int) -> bytes:
        with timings.step("encode"):
            return pixels.encode(sized, decoded.durations_ms, decoded.plays, image_format, quality, effort, time)

    files: dict[str, list[_Made]] = {}
    made: dict[object, Future[bytes]] = {}
    hurried = time_s is not None and len(decoded.frames) * _encoding_s(decoded, source, plans) > time_s * ENCODING_SHARE
    most_effort = HURRIED_EFFORT if hurried else MOST_EFFORT
    smallest = decoded.frames[0]
    # Holding all sizes until the decoded pictures are let go of takes less memory than encoding the largest beside
    # them, unless there are many large ones.
    areas = [prod(plan.size) for plan in {plan for name, plan in plans.items() if name not in changed}]
    late = sum(areas) <= 2 * max(areas, default=0)
    cut: tuple[pixels.Crop, list[pixels.Image]] | None = None
    # The largest first: it takes longest, and at the end one thread would wait for it. Equal ones follow each other.
    for name, plan in sorted(plans.items(), key=lambda item: (-item[1].scale, -prod(item[1].size), item[1].box)):
        spec, steps = source.variants[name], changed.get(name)
        sized = list(steps.images) if steps is not None else cut[1] if cut is not None and cut[0] == plan else None
        effort = min(source.effort_of(spec), most_effort)
        files[name] = []
        for image_format in published_formats(spec, sized or decoded.frames):
            recipe = (plan, spec.steps_text, image_format, spec.quality, effort)
            if recipe not in made:
                if sized is None:
                    with timings.step("resize"):
                        sized = [pixels.cut(frame, plan, decoded.extent) for frame in decoded.frames]
                    cut = plan, sized
                    if spec.fit == "inside":
                        # A placeholder of a picture with fewer pixels than it needs has wrong waves.
                        smallest = sized[0] if min(sized[0].size) >= SIDE else smallest
                made[recipe] = encoders.submit(encoded, sized, image_format, spec.quality, effort, late=late)
            files[name].append(_Made(image_format, plan.size if steps is None else steps.size, made[recipe]))
    return files, smallest


def published_formats(spec: VariantSpec, frames: Sequence[pixels.Image]) -> list[str]:
    """Return the formats in which a variant is written, each once."""
    return list(dict.fromkeys(pixels.published_format(each, list(frames)) for each in spec.formats))


def _encoding_s(decoded: pixels.Decoded, source: Source, plans: dict[str, pixels.Crop]) -> float:
    """Return an estimate of the most seconds that encoding one frame takes, in all variants and the original."""
    recipes = {
        (plans[name].size, image_format, source.effort_of(spec) > USUAL_EFFORT)
        for name, spec in source.variants.items()
        for image_format in published_formats(spec, decoded.frames)
    }
    variants = sum(prod(size) * ENCODE_S_A_PIXEL[image_format] * (1 + slow) for size, image_format, slow in recipes)
    if source.original != "keep":
        return variants
    return variants + prod(decoded.frames[0].size) * ORIGINAL_S_A_PIXEL.get(decoded.info.format, 0.1e-6)
