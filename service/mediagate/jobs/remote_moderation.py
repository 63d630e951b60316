"""Moderation by a service: when it is called, its daily limit, and the handling of missing answers.

It fails closed: without an answer in time nothing is published. An unavailable service is treated like an unavailable
database: the attempt does not count, and the job waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TypeVar

from mediagate.config import Source
from mediagate.errors import MediagateError, ModerationFailed, ModeratorUnavailable
from mediagate.moderation import (
    Moderator,
    Names,
    RemoteModerator,
    apply_policy,
    input_edge,
    judged_remotely,
    judging,
    merge,
    name_of,
    stricter,
    thresholds_for,
    with_group_scores,
)
from mediagate.parts import Parts
from mediagate.records import Allowance, Records
from mediagate.values import Produced, Rendered, Verdict

log = logging.getLogger("mediagate")

SIDE_BY_SIDE = 4
"""How many calls for one image run concurrently."""
NAME = "remote_moderation"

Seen = TypeVar("Seen", Rendered, Produced)
"""A picture that an image process has judged."""


def remote_moderation(parts: Parts) -> RemoteModeration | None:
    """Return the moderation by the service of a gate, ``None`` if it has none."""
    if parts.remote_moderator is None:
        return None
    return RemoteModeration(parts.remote_moderator, parts.moderator, parts.records)


class RemoteModeration:
    """Calls a remote moderator for the pictures that the local moderator, if there is one, allows."""

    def __init__(self, remote: RemoteModerator, local: Moderator | None, records: Records) -> None:
        self._remote = remote
        self._local = local
        self._records = records
        self._allowance = Allowance(records)

    def judges(self, source: Source) -> bool:
        """Return whether the remote moderator judges the pictures of a source."""
        return judged_remotely(source, self._remote)

    def alone(self, source: Source) -> bool:
        """Return whether no local moderator judges the pictures of a source."""
        return judging(self._local, source) is None

    @property
    def input_edge(self) -> int:
        """The longer edge, in pixels, of the pictures that the service expects."""
        return input_edge(self._remote)

    def locally(self, source: Source) -> Source:
        """Return the source with the thresholds that the image processes apply."""
        return thresholds_for(source, judging(self._local, source) or Names(frozenset(), {}))

    async def judged(self, seen: Seen, source: Source) -> Seen:
        """Return a picture with the combined verdict, and without its files unless that allows publication.

        Raises ``ModeratorUnavailable`` and ``ModerationFailed``.
        """
        await self._take(len(seen.previews))
        verdict = apply_policy(
            merge(await self._asked(seen.previews)), thresholds_for(source, self._remote), self._remote.groups
        )
        both = replace(seen, verdict=stricter(seen.verdict, verdict), previews=())
        return both if both.verdict.decision == "allow" else both.without_files()

    async def _take(self, calls: int) -> None:
        most = self._remote.max_calls_per_day
        if most is None:
            return
        if calls > most:
            raise ModerationFailed(f"this image needs {calls} calls of the remote moderator; the daily limit is {most}")
        now = await self._records.now()
        day: date = now.date()
        if not await self._allowance.take(f"{NAME}:{day}", calls, most, lasts=timedelta(days=2)):
            log.warning("remote moderator: today's limit of %d calls is used up; jobs wait until tomorrow", most)
            raise ModeratorUnavailable(f"the limit of {most} calls for {day} is used up")

    async def _asked(self, jpegs: Sequence[bytes]) -> list[Verdict]:
        free = asyncio.Semaphore(SIDE_BY_SIDE)

        async def ask(jpeg: bytes) -> Verdict:
            async with free:
                return await self._judge(jpeg)

        try:
            async with asyncio.TaskGroup() as calls:
                asked = [calls.create_task(ask(jpeg)) for jpeg in jpegs]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [call.result() for call in asked]

    async def _judge(self, jpeg: bytes) -> Verdict:
        try:
            async with asyncio.timeout(self._remote.timeout_s):
                verdict = await self._remote.judge(jpeg)
                named = replace(verdict, models={name_of(self._remote): verdict.model_hash})
                return with_group_scores(named, self._remote)
        except TimeoutError:
            raise ModeratorUnavailable(
                f"the remote moderator did not answer within {self._remote.timeout_s:g} s"
            ) from None
        except MediagateError:
            raise
        except Exception as exc:
            log.exception("the remote moderator failed")
            raise ModerationFailed(f"the remote moderator failed with {type(exc).__name__}; see the log") from exc
