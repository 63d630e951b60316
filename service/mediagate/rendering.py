"""One image's path inside an image process: decode once, judge, size, encode; all from the same pixels."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from time import perf_counter

from mediagate import images
from mediagate.blurhash import EDGE, blurhash_of
from mediagate.config import Source
from mediagate.errors import ModerationFailed
from mediagate.media import Rendered, RenderedFile, Verdict
from mediagate.moderation import Moderator, apply_policy, merge

log = logging.getLogger("mediagate")

OFF = Verdict(model="off")
"""What stands for a verdict where moderation is off."""
WHITE = (255, 255, 255)


class Timings(dict[str, float]):
    """Milliseconds by step; steps run side by side, so that their sum may exceed what passed."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time that the block takes."""
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
    threads: int = 1,
    memory_bytes: int | None = None,
) -> Rendered:
    """Take an uploaded file to its verdict and, if that is ``allow``, to its variants and its cleaned original.

    ``threads`` encode side by side; what would need more than ``memory_bytes`` is refused. Raises ``UnsupportedType``,
    ``UndecodableImage``, ``ImageTooLarge``, ``AnimationRefused`` and ``ModerationFailed``; ``MemoryError`` when decoded
    pixels outgrow the process.
    """
    timings = Timings()
    warnings: list[str] = []
    with timings.step("decode"):
        decoded = images.decode(data, source, memory_bytes)
    info = decoded.info
    whole = (info.width, info.height)
    plans = {name: images.shown(whole, spec, focal) for name, spec in source.variants.items()}
    with timings.step("resize"):
        # The largest size that anybody looks at; only the original needs more, and it keeps its own colours.
        scale = images.largest_scale(whole, plans.values())
        frames = [_scaled(images.eight_bit(frame), scale) for frame in decoded.frames]
    with timings.step("colour"):
        profile = images.read_profile(decoded.icc, frames[0], warnings)
        frames = [images.to_srgb(frame, profile) for frame in frames]
        has_alpha = not all(images.opaque(frame) for frame in frames)
        if not has_alpha:
            frames = [images.flattened(frame, WHITE) for frame in frames]
    with timings.step("moderate"):
        verdict = _judge(frames, source, moderator)
    if verdict.decision != "allow":
        return Rendered(verdict, info, removed=decoded.removed, warnings=tuple(warnings), timings_ms=dict(timings))

    with ThreadPoolExecutor(threads) as encoders:

        def original() -> tuple[str, bytes]:
            with timings.step("original"):
                return images.encode_original(decoded, profile)

        variants, smallest = _variants(frames, decoded, source, plans, timings, encoders)
        original_file = encoders.submit(original)
        with timings.step("blurhash"):
            tiny = images.flattened(images.within(smallest, EDGE), WHITE)
            placeholder = blurhash_of(*tiny.size, tiny.tobytes())
            color = images.dominant_color(smallest)
        original_format, original_data = original_file.result()
        files = tuple(
            RenderedFile(name, spec.format, *plans[name].size, variants[name].result())
            for name, spec in source.variants.items()
        )
    return Rendered(
        verdict=verdict,
        info=info,
        variants=files,
        original=RenderedFile("original", original_format, *whole, original_data),
        blurhash=placeholder,
        dominant_color=color,
        aspect_ratio=images.aspect_ratio(*whole),
        has_alpha=has_alpha,
        removed=decoded.removed,
        warnings=tuple(warnings),
        timings_ms=dict(timings),
    )


def _judge(frames: list[images.Image], source: Source, moderator: Moderator | None) -> Verdict:
    """Judge every frame that would be published, on each background that it can stand on."""
    if moderator is None:
        return OFF
    try:
        verdict = merge(moderator.judge(picture) for frame in frames for picture in images.pictures(frame))
        return apply_policy(verdict, source, moderator.groups)
    except (ModerationFailed, MemoryError):
        raise
    except Exception as exc:
        log.exception("the moderator failed")
        raise ModerationFailed(f"the moderator failed with {type(exc).__name__}; the log has its words") from exc


def _scaled(image: images.Image, scale: float) -> images.Image:
    if scale >= 1:
        return image
    width, height = image.size
    return images.resized(image, (max(1, round(width * scale)), max(1, round(height * scale))))


def _variants(
    frames: list[images.Image],
    decoded: images.Decoded,
    source: Source,
    plans: dict[str, images.Shown],
    timings: Timings,
    encoders: ThreadPoolExecutor,
) -> tuple[dict[str, Future[bytes]], images.Image]:
    """Make each size from the next larger one, and what would be the same file only once.

    Returns the files to come, and the smallest picture that shows all of the first frame.
    """

    def encoded(sized: list[images.Image], image_format: str, quality: int, effort: int) -> bytes:
        with timings.step("encode"):
            return images.encode(sized, decoded.durations_ms, decoded.plays, image_format, quality, effort)

    files: dict[str, Future[bytes]] = {}
    made: dict[object, Future[bytes]] = {}
    larger = frames
    for name, plan in sorted(plans.items(), key=lambda item: -item[1].scale):
        spec = source.variants[name]
        recipe = (plan, spec.format, spec.quality, spec.effort)
        if recipe not in made:
            with timings.step("resize"):
                sized = [images.resized(frame, plan.size, plan.box_on(frame.size)) for frame in larger]
            if spec.fit == "inside":
                larger = sized
            made[recipe] = encoders.submit(encoded, sized, spec.format, spec.quality, spec.effort)
        files[name] = made[recipe]
    return files, larger[0]
