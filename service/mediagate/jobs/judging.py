"""The verdict on a picture: by the local moderators in an image process, then by the remote one if they allow it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Protocol, TypeVar

from mediagate.config import Source
from mediagate.jobs.remote_moderation import RemoteModeration, Seen

Seen_co = TypeVar("Seen_co", covariant=True)


class Look(Protocol[Seen_co]):
    """Has an image process judge a picture by a source, and make previews with this longer edge; 0: none."""

    def __call__(self, source: Source, /, *, previews: int) -> Awaitable[Seen_co]:
        """Return what the image process returns."""


async def judge(look: Look[Seen], source: Source, remote: RemoteModeration | None) -> Seen:
    """Return a picture with the verdict of all moderators of its source, whose runs are its ``model_runs``.

    Raises what ``look`` raises, ``ModeratorUnavailable`` and ``ModerationFailed``.
    """
    if remote is None or not remote.judges(source):
        return await look(source, previews=0)
    seen = await look(remote.locally(source), previews=remote.input_edge)
    if remote.alone(source):
        seen = replace(seen, model_runs=0)
    if seen.verdict.decision != "allow":
        return seen
    runs = seen.model_runs + len(seen.previews)
    return replace(await remote.judged(seen, source), model_runs=runs)
