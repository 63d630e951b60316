"""Moderation by a service: when it is asked, how often at most, and what its silence means.

It fails closed: without an answer within its time nothing is published. A service that is away is like a database that
is away: the attempt does not count, and the job waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from mediagate.config import Source
from mediagate.errors import MediagateError, ModerationFailed, ModeratorUnavailable
from mediagate.moderation import (
    Moderator,
    Names,
    RemoteModerator,
    apply_policy,
    input_edge,
    merge,
    stricter,
    thresholds_for,
)
from mediagate.records import Allowance, Records
from mediagate.values import Rendered, Verdict

log = logging.getLogger("mediagate")

SIDE_BY_SIDE = 4
"""How many calls are made for one image at once, if it has so many frames."""
NAME = "remote_moderation"


class RemoteModeration:
    """Asks a remote moderator about what a local one, if there is one, lets through."""

    def __init__(self, remote: RemoteModerator, local: Moderator | None, records: Records) -> None:
        self._remote = remote
        self._local = local if local is not None else Names(frozenset(), {})
        self._records = records
        self._allowance = Allowance(records)

    @property
    def alone(self) -> bool:
        """Whether there is no local moderator."""
        return isinstance(self._local, Names)

    @property
    def input_edge(self) -> int:
        """The longer edge, in pixels, of the pictures that the service is made for."""
        return input_edge(self._remote)

    def locally(self, source: Source) -> Source:
        """Return the source as the image processes are to judge by it."""
        return thresholds_for(source, self._local)

    async def judged(self, rendered: Rendered, source: Source) -> Rendered:
        """Return a picture with the verdict of both, and without its files unless that is to publish it.

        Raises ``ModeratorUnavailable`` and ``ModerationFailed``.
        """
        await self._take(len(rendered.previews))
        verdict = apply_policy(
            merge(await self._asked(rendered.previews)), thresholds_for(source, self._remote), self._remote.groups
        )
        both = stricter(rendered.verdict, verdict)
        if both.decision == "allow":
            return replace(rendered, verdict=both, previews=())
        return replace(rendered, verdict=both, variants=(), original=None, previews=())

    async def _take(self, calls: int) -> None:
        most = self._remote.max_calls_per_day
        if most is None:
            return
        if calls > most:
            raise ModerationFailed(f"this image needs {calls} calls, and {most} are allowed in a day")
        now = await self._records.now()
        day: date = now.date()
        if not await self._allowance.take(f"{NAME}:{day}", calls, most, lasts=timedelta(days=2)):
            log.warning("the %d calls of today to the remote moderator are used up; jobs wait until tomorrow", most)
            raise ModeratorUnavailable(f"the {most} calls of {day} are used up")

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
                return await self._remote.judge(jpeg)
        except TimeoutError:
            raise ModeratorUnavailable(f"the remote moderator gave no answer in {self._remote.timeout_s:g} s") from None
        except MediagateError:
            raise
        except Exception as exc:
            log.exception("the remote moderator failed")
            raise ModerationFailed(f"the remote moderator failed with {type(exc).__name__}; see the log") from exc
