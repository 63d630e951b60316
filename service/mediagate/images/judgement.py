"""Scrutiny: a moderator judges everything that will be shown of a picture, within the time of its job."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from time import perf_counter

from mediagate.config import Source
from mediagate.errors import ImageTooLarge, ModerationFailed, UndecodableImage
from mediagate.images import pixels
from mediagate.images.pixels import Crop
from mediagate.images.views import Box, views
from mediagate.moderation import (
    Moderator,
    apply_policy,
    input_edge,
    merge,
    smallest_input_edge,
    with_group_scores,
)
from mediagate.values import Verdict

log = logging.getLogger("mediagate")

OFF = Verdict(model="off")
"""The verdict when moderation is off."""
BATCH = 4
"""Runs of the model between two checks of the policy."""
FINER = 2
"""A view has this many times the pixels of the model's input along its longer edge, if the frame has them."""
FUSED_MS = 50
"""Frames shown for less than this are also judged as their mean: above 20 pictures a second they begin to fuse."""
SUMMED_MS = 100
"""How long the eye sums light up, approximately (Bloch's law, in dim light; less in bright light)."""
SHORTEST_MS = 10
"""The shortest time of a frame, so that a mean has ten frames at most (GIF counts in hundredths of a second)."""

Mix = tuple[tuple[int, float], ...]
"""Frame numbers and their shares, which sum to 1: a single frame, or a mean."""


@dataclass(slots=True)
class Pace:
    """The fastest run of a model so far, in seconds; ``None`` before the first one."""

    quickest_s: float | None = None

    def ran(self, seconds: float) -> None:
        """Note a run."""
        self.quickest_s = seconds if self.quickest_s is None else min(self.quickest_s, seconds)

    def check(self, runs: int, time_s: float | None) -> None:
        """Raise ``ImageTooLarge`` if ``runs`` need more than ``time_s`` even at the fastest pace."""
        if time_s is None or self.quickest_s is None or runs * self.quickest_s <= time_s:
            return
        raise ImageTooLarge(
            f"judging the picture takes {runs:,} runs of the model, and at most {int(time_s / self.quickest_s):,} fit "
            f"into {time_s:.3g} s; send a smaller picture or fewer frames, publish a smaller picture "
            '(original="delete", scrutiny="standard"), or raise image_timeout_s'
        )


PACES: dict[tuple[str, ...] | None, Pace] = {}
"""The paces of this process, by the moderators that a source chooses."""


def judge(
    frames: Sequence[pixels.Image],
    durations_ms: Sequence[int],
    plays: int,
    plans: Mapping[str, Crop],
    source: Source,
    moderator: Moderator | None,
    *,
    working: Sequence[pixels.Image] = (),
    extent: pixels.Box | None = None,
    time_s: float | None = None,
    pace: Pace | None = None,
) -> tuple[Verdict, int]:
    """Judge everything that is published of a picture; return the verdict and the number of model runs.

    ``frames`` are upright, in sRGB and none smaller than a published picture; ``plays`` 0 means for ever. Variants are
    made of ``working``, the first of these frames, which fill ``extent``; variants smaller than a view are judged
    themselves. Judging stops with the first batch that the policy rejects, and the verdict is then not ``complete``.

    Raises ``ImageTooLarge`` in advance if judging cannot finish in ``time_s`` seconds, and ``ModerationFailed`` for
    every exception of the moderator except ``MemoryError``.
    """
    if moderator is None:
        return OFF, 0
    pace = pace or PACES.setdefault(source.moderators, Pace())
    try:
        edge = input_edge(moderator)
        with pixels.final("judging"):
            boxes = views(frames[0].size, plans, source, smallest_input_edge(moderator))
            mixes = _mixes(_first_alike(frames), durations_ms, plays)
            small = [
                plan
                for plan in dict.fromkeys(plans.values())
                if working and max(plan.size) < FINER * edge and plan.size != frames[0].size
            ]
            looks = [pixels.count_looks(frame) for frame in frames]
            needed = (len(boxes) + len(small)) * sum(max(looks[number] for number, _ in mix) for mix in mixes)
            sights = [_Sight(frames, box, FINER * edge) for box in boxes]
            sights += [_Sight(working, plan, FINER * edge, extent) for plan in small]
        pictures = _pictures(sights, mixes)
        verdict, runs = None, 0
        while batch := _taken(pictures):
            pace.check(needed, time_s)
            judged = [_run(moderator, picture, pace) for picture in batch]
            runs += sum(max(1, len(one.models)) for one in judged)
            merged = merge(judged if verdict is None else [verdict, *judged])
            verdict = merged
            decided = apply_policy(merged, source, moderator.groups)
            if decided.decision == "reject":
                break
        if verdict is None:
            raise ModerationFailed("there was no picture to judge")
        return replace(decided, complete=next(pictures, None) is None), runs
    except (ImageTooLarge, UndecodableImage, ModerationFailed, MemoryError):
        raise
    except Exception as exc:
        log.exception("moderator failed")
        raise ModerationFailed(f"the moderator failed with {type(exc).__name__}; see the log") from exc


def _taken(pictures: Iterator[pixels.PixelPicture]) -> list[pixels.PixelPicture]:
    with pixels.final("judging"):
        return list(islice(pictures, BATCH))


def _run(moderator: Moderator, picture: pixels.PixelPicture, pace: Pace) -> Verdict:
    started = perf_counter()
    verdict = moderator.judge(picture)
    pace.ran(perf_counter() - started)
    return with_group_scores(verdict, moderator)


def _first_alike(frames: Sequence[pixels.Image]) -> list[int]:
    """Return for each frame the number of the first frame with the same pixels."""
    if len(frames) == 1:
        return [0]
    first: dict[bytes, int] = {}
    return [first.setdefault(_digest(frame), number) for number, frame in enumerate(frames)]


def _mixes(numbers: Sequence[int], durations_ms: Sequence[int], plays: int) -> list[Mix]:
    """Return the mixes that a viewer of an animation sees: each frame, and the means of quickly successive frames.

    Each frame is mixed with the next one if both are shown for less than 50 ms, and with all frames within 100 ms of
    its beginning, weighted by their time, if these are more than two. There are at most three mixes per frame, each
    returned once.
    """
    count = len(numbers)
    mixes: dict[Mix, None] = dict.fromkeys(((number, 1.0),) for number in numbers)
    for start in range(count if count > 1 else 0):
        quick: list[int] = []
        total = 0
        for at in range(start, start + count if plays != 1 else count):
            duration = max(SHORTEST_MS, durations_ms[at % count])
            if duration >= FUSED_MS or (len(quick) > 1 and total + duration > SUMMED_MS):
                break
            quick.append(at % count)
            total += duration
        for length in {2, len(quick)} if len(quick) > 1 else ():
            # Two frames weigh the same: an alternation may be timed so that only the plain mean shows a face.
            weights = [1] * 2 if length == 2 else [max(SHORTEST_MS, durations_ms[at]) for at in quick]
            shares: Counter[int] = Counter()
            for at, weight in zip(quick[:length], weights, strict=True):
                shares[numbers[at]] += weight
            mixes[tuple((number, share / sum(weights)) for number, share in sorted(shares.items()))] = None
    return list(mixes)


@dataclass(frozen=True, slots=True)
class _Sight:
    """One view of each frame, or one variant that is smaller than a view."""

    frames: Sequence[pixels.Image]
    part: Box | Crop
    edge: int
    extent: pixels.Box | None = None

    def looks(self, number: int) -> list[pixels.Image]:
        """Return the looks of this sight in one frame."""
        if isinstance(self.part, Crop):
            variant = pixels.cut(self.frames[number], self.part, self.extent)
            return pixels.looks(variant, (0, 0, *variant.size), self.edge)
        return pixels.looks(self.frames[number], self.part, self.edge)


def _pictures(sights: Sequence[_Sight], mixes: Sequence[Mix]) -> Iterator[pixels.PixelPicture]:
    """Iterate lazily over the pictures to judge, each distinct one once."""
    seen: set[bytes] = set()
    for sight in sights:
        looks = lru_cache(max(map(len, mixes)))(sight.looks)
        for mix in mixes:
            if any(number >= len(sight.frames) for number, _ in mix):
                continue
            of_each = [looks(number) for number, _ in mix]
            shares = [share for _, share in mix]
            for look in range(max(map(len, of_each))):
                picture = pixels.mean([of_one[look if len(of_one) > 1 else 0] for of_one in of_each], shares)
                digest = _digest(picture)
                if digest not in seen:
                    seen.add(digest)
                    yield pixels.PixelPicture(picture)


def _digest(picture: pixels.Image) -> bytes:
    return sha256(f"{picture.mode}{picture.size}".encode() + picture.tobytes()).digest()
