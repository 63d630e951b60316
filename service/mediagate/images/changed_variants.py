"""Variants that steps have changed: their frames, and the verdict on these as published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from mediagate.config import Source
from mediagate.images import pixels
from mediagate.images.judgement import judge
from mediagate.images.operations import Frames, Operations
from mediagate.images.variant_steps import stepped
from mediagate.moderation import Moderator, merge
from mediagate.values import Verdict


def changed_frames(
    decoded: pixels.Decoded,
    plans: Mapping[str, pixels.Crop],
    source: Source,
    operations: Operations | None,
) -> tuple[dict[str, Frames], tuple[str, ...]]:
    """Return the frames of each variant with steps, equal ones as one object, and the warnings of the steps."""
    made: dict[tuple[pixels.Crop, str], Frames] = {}
    changed: dict[str, Frames] = {}
    warnings: list[str] = []
    for name, spec in source.variants.items():
        if spec.steps:
            recipe = (plans[name], spec.steps_text)
            if recipe not in made:
                cuts = tuple(pixels.cut(frame, plans[name], decoded.extent) for frame in decoded.frames)
                frames = Frames(cuts, tuple(decoded.durations_ms), decoded.plays)
                made[recipe] = stepped(frames, spec, source, operations, warnings)
            changed[name] = made[recipe]
    return changed, tuple(dict.fromkeys(warnings))


def judge_changed(
    verdict: Verdict,
    changed: Mapping[str, Frames],
    source: Source,
    moderator: Moderator | None,
    left_s: Callable[[], float | None],
) -> tuple[Verdict, int]:
    """Judge what steps have made as published at its size; return the strictest verdict and the further model runs."""
    if moderator is None:
        return verdict, 0
    published = source.model_copy(update={"original": "keep"})
    pictures = list({id(frames): frames for frames in changed.values()}.values())
    verdicts, runs = [verdict], 0
    for frames in pictures:
        if verdicts[-1].decision != "allow":
            return replace(merge(verdicts), complete=False), runs
        judged, further = judge(
            frames.images, frames.durations_ms, frames.plays, {}, published, moderator, time_s=left_s()
        )
        verdicts.append(judged)
        runs += further
    return merge(verdicts), runs
