"""The policy by which published files are judged again."""

from __future__ import annotations

from mediagate.config import Source
from mediagate.errors import ConfigError
from mediagate.moderation.ensemble import members_of
from mediagate.moderation.labels import names_of, thresholds_for
from mediagate.moderation.protocols import Moderator, RemoteModerator, name_of
from mediagate.moderation.selection import judged_remotely, judging
from mediagate.values import EXTENSIONS

MANY_PIXELS, MANY_FRAMES = 10**9, 10**6
"""Beyond everything that an image process has the memory for."""


def policy_of_published(
    source: Source, moderator: Moderator | None, remote: RemoteModerator | None, name: str | None
) -> Source:
    """Return a source with its thresholds and moderators, which accepts every published file with all its frames.

    With ``name``, only that moderator judges, by the thresholds that name its labels or groups. The limits of uploads
    do not apply: what has been published may be larger than what is accepted today. Raises ``ConfigError`` when no such
    moderator judges the source, or no threshold reads its scores.
    """
    policy = source.model_copy(
        update={
            "formats": tuple(EXTENSIONS),
            "animation": "keep",
            "damaged": "refuse",
            "original": "keep",
            "variants": {name: spec.model_copy(update={"steps": ()}) for name, spec in source.variants.items()},
            "max_pixels": MANY_PIXELS,
            "max_frames": MANY_FRAMES,
            "max_animation_pixels": MANY_PIXELS,
        }
    )
    if name is None:
        return policy
    local = judging(moderator, source)
    called = remote if remote is not None and judged_remotely(source, remote) else None
    known = [*members_of(local), *(name_of(one) for one in (called,) if one is not None)]
    if name not in known:
        raise ConfigError(f"no moderator of it is named {name!r}; it is judged by {', '.join(known) or 'none'}")
    only = policy.model_copy(update={"moderators": (name,)})
    chosen = called if called is not None and name == name_of(called) else judging(local, only)
    names = names_of(*(one for one in (chosen,) if one is not None))
    decided = thresholds_for(only, names)
    if names.labels and not decided.reject and not decided.review:
        raise ConfigError(
            f"no threshold of it reads a score of the moderator {name!r}: set one, such as "
            f'reject={{"{min(names.labels)}": 0.5}}, or judge with the others'
        )
    return decided
