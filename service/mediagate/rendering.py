"""One image's path inside an image process: decode once, judge, size, encode; all from the same pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from mediagate import images
from mediagate.blurhash import EDGE, blurhash_of
from mediagate.config import Source
from mediagate.errors import MediagateError, ModerationFailed
from mediagate.media import Rendered, RenderedFile, Verdict
from mediagate.moderation import Moderator, apply_policy, merge

OFF = Verdict(model="off")
"""What stands for a verdict where moderation is off."""
WHITE = (255, 255, 255)


class Timings(dict[str, float]):
    """Milliseconds by step."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time that the block takes."""
        started = perf_counter()
        try:
            yield
        finally:
            self[name] = round(self.get(name, 0.0) + (perf_counter() - started) * 1000, 2)


def render(data: bytes, source: Source, focal: tuple[float, float], moderator: Moderator | None) -> Rendered:
    """Take an uploaded file to its verdict and, if that is ``allow``, to its variants and its cleaned original."""
    timings = Timings()
    warnings: list[str] = []
    with images.opened(data, source) as (image, info):
        with timings.step("decode"):
            removed = images.found(image)
            decoded = images.decode(image, info)
            removed = tuple(dict.fromkeys([*removed, *images.found(image)]))
        with timings.step("colour"):
            frames = [images.to_srgb(frame, decoded.icc, warnings) for frame in decoded.frames]
        with timings.step("moderate"):
            verdict = _judge(frames, source, moderator)
        if verdict.decision != "allow":
            return Rendered(verdict, info, removed=removed, warnings=_once(warnings), timings_ms=timings)

        variants, smallest = _variants(frames, decoded, source, focal, timings)
        with timings.step("blurhash"):
            tiny = images.flattened(images.within(smallest, EDGE), WHITE)
            color = images.dominant_color(smallest)
            placeholder = blurhash_of(tiny)
        with timings.step("original"):
            original_format, original = images.encode_original(decoded)
        width, height = frames[0].size
        return Rendered(
            verdict=verdict,
            info=info,
            variants=tuple(variants),
            original=RenderedFile("original", original_format, width, height, original),
            blurhash=placeholder,
            dominant_color=color,
            aspect_ratio=images.aspect_ratio(width, height),
            has_alpha=frames[0].mode == "RGBA",
            removed=removed,
            warnings=_once(warnings),
            timings_ms=timings,
        )


def _judge(frames: list[Any], source: Source, moderator: Moderator | None) -> Verdict:
    """Judge every frame that would be published, on each background that it can stand on."""
    if moderator is None:
        return OFF
    try:
        verdict = merge(moderator.judge(picture) for frame in frames for picture in images.pictures(frame))
        return apply_policy(verdict, source, moderator.groups)
    except (MediagateError, MemoryError):
        raise
    except Exception as exc:
        raise ModerationFailed(f"the moderator failed with {type(exc).__name__}") from exc


def _variants(
    frames: list[Any], decoded: images.Decoded, source: Source, focal: tuple[float, float], timings: Timings
) -> tuple[list[RenderedFile], Any]:
    """Make each size from the next larger one, and what would be the same file only once.

    Returns the variants in the order of the source, and the smallest picture that shows all of the first frame.
    """
    whole = frames[0].size
    wanted = {name: (spec, *images.target(whole, spec, focal)) for name, spec in source.variants.items()}
    files: dict[str, RenderedFile] = {}
    made: dict[Any, bytes] = {}
    larger = frames
    for name, (spec, size, box) in sorted(wanted.items(), key=lambda item: -item[1][1][0] * item[1][1][1]):
        with timings.step("resize"):
            if spec.fit == "inside":
                larger = sized = [images.resized(frame, size) for frame in larger]
            else:
                sized = [images.resized(frame, size, box) for frame in frames]
        recipe = (size, box, spec.format, spec.quality, spec.effort)
        if recipe not in made:
            with timings.step("encode"):
                made[recipe] = images.encode(
                    sized, decoded.durations_ms, decoded.loop, spec.format, spec.quality, spec.effort
                )
        files[name] = RenderedFile(name, spec.format, *size, made[recipe])
    return [files[name] for name in source.variants], larger[0]


def _once(warnings: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(warnings))
