"""Waiting for jobs: all waiting clients of a process share one query per tick."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field

from mediagate.errors import JobNotFound, MediagateError, RecordsUnavailable
from mediagate.jobs.recent import MAX_AGE_S, Answers
from mediagate.observe import Observer, cause_of
from mediagate.records import Records, get_state
from mediagate.values import Job, JobState, JobStatus, Stage

log = logging.getLogger("mediagate.watch")

TICK_S = 0.75
"""How often the records are queried for awaited jobs, which another process may have changed."""
REREAD = 100
"""How many unchanged jobs a tick reads again once their last read is ``MAX_AGE_S`` old."""
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


@dataclass(slots=True, eq=False)
class _Awaited:
    """A job that a client waits for, or waited for since the last tick."""

    waiting: set[asyncio.Future[JobState | None]] = field(default_factory=set)
    state: JobState | None = None
    read_at: float = 0.0


class Watch:
    """The jobs that this process knows the state of: recently finished and awaited ones."""

    def __init__(self, records: Records, observer: Observer) -> None:
        self._records = records
        self._observer = observer
        self._answers = Answers()
        self._awaited: dict[str, _Awaited] = {}
        self._unsure: set[str] = set()
        self._urgent = asyncio.Event()
        self._due_at = float("-inf")
        self._ticker: asyncio.Task[None] | None = None

    async def get(self, job_id: str) -> JobState:
        """Return the state of a job, without a query if it is cached as finished; raises ``JobNotFound``."""
        kept = self._answers.get(job_id)
        self._observer.status_asked(in_memory=kept is not None)
        if kept is not None:
            return kept
        check_id(job_id)
        drops = self._answers.drops
        state = await get_state(self._records, job_id)
        if state is None:
            raise unknown_job(job_id)
        self._answers.keep(state, drops=drops)
        return state

    async def next(self, job_id: str, seen: Job | None, *, timeout_s: float) -> JobState | None:
        """Return the state of a job as soon as it differs from ``seen``, ``None`` on timeout.

        Raises ``JobNotFound``, and ``RecordsUnavailable`` if no state is known yet and the records do not answer.
        """
        kept = self._answers.get(job_id)
        if kept is not None:
            self._observer.status_asked(in_memory=True)
            return kept
        check_id(job_id)
        awaited = self._awaited.setdefault(job_id, _Awaited())
        known = awaited.state is not None and awaited.state.job is not seen
        self._observer.status_asked(in_memory=known)
        if known:
            return awaited.state
        future: asyncio.Future[JobState | None] = asyncio.get_running_loop().create_future()
        awaited.waiting.add(future)
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.create_task(self._ticks())
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return None
        finally:
            awaited.waiting.discard(future)

    def forget(self, job_id: str) -> None:
        """Forget the state of a job that this process changed; waiting clients get the new one at once."""
        self._answers.drop(job_id)
        awaited = self._awaited.get(job_id)
        if awaited is None:
            return
        if awaited.waiting:
            self._unsure.add(job_id)
            self._urgent.set()
        else:
            del self._awaited[job_id]

    def publish(self, state: JobState) -> None:
        """Pass the state that this process gave a job to waiting clients, without a query."""
        job_id = state.job.id
        self._answers.drop(job_id)
        self._answers.keep(state, drops=self._answers.drops)
        awaited = self._awaited.get(job_id)
        if awaited is None:
            return
        if state.job.status.terminal:
            del self._awaited[job_id]
        awaited.state, awaited.read_at = state, asyncio.get_running_loop().time()
        _tell(awaited, state)

    def wake(self) -> None:
        """Wake all waiting clients without a new state."""
        for awaited in self._awaited.values():
            _tell(awaited, None)

    async def close(self) -> None:
        """Wake all waiting clients and stop querying."""
        self.wake()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
            self._ticker = None

    async def _ticks(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._awaited:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._due_at):
                    await self._urgent.wait()
            self._urgent.clear()
            due, self._unsure = self._unsure, set()
            if clock() >= self._due_at:
                due |= self._still_awaited()
                self._due_at = clock() + TICK_S if due else self._due_at
            if due:
                await self._ask(due, clock())

    def _still_awaited(self) -> set[str]:
        """Return the ids of awaited jobs, and forget the others."""
        self._awaited = {job_id: awaited for job_id, awaited in self._awaited.items() if awaited.waiting}
        return set(self._awaited)

    def _known(self, job_ids: Collection[str], now: float) -> dict[str, tuple[JobStatus, Stage] | None]:
        known: dict[str, tuple[JobStatus, Stage] | None] = {}
        left = REREAD
        for job_id in job_ids:
            awaited = self._awaited.get(job_id)
            if awaited is None:
                continue
            known[job_id] = (awaited.state.job.status, awaited.state.job.stage) if awaited.state is not None else None
            if left and awaited.state is not None and now - awaited.read_at >= MAX_AGE_S:
                # Read it in any state: its row may have been deleted, or its other columns changed.
                known[job_id] = None
                left -= 1
        return known

    async def _ask(self, job_ids: Collection[str], now: float) -> None:
        known = self._known(job_ids, now)
        drops = self._answers.drops
        try:
            states = await self._records.changed(known)
        except Exception as exc:
            log.warning(
                "could not query awaited jobs: %s",
                cause_of(exc),
                exc_info=None if isinstance(exc, MediagateError) else exc,
            )
            for job_id in known:
                if (awaited := self._awaited.get(job_id)) is not None and awaited.state is None:
                    _fail(awaited, RecordsUnavailable("the database does not answer; try again in a moment"))
            return
        for job_id, place in known.items():
            awaited = self._awaited.get(job_id)
            if awaited is None or awaited.read_at > now:
                continue  # the job has been changed meanwhile
            state = states.get(job_id)
            if state is None:
                if place is None:
                    del self._awaited[job_id]
                    _fail(awaited, unknown_job(job_id))
                continue
            self._answers.keep(state, drops=drops)
            if state.job.status.terminal:
                del self._awaited[job_id]
            awaited.read_at = now
            if state != awaited.state:
                awaited.state = state
                _tell(awaited, state)


def _tell(awaited: _Awaited, state: JobState | None) -> None:
    for future in awaited.waiting:
        if not future.done():
            future.set_result(state)


def _fail(awaited: _Awaited, error: MediagateError) -> None:
    for future in awaited.waiting:
        if not future.done():
            future.set_exception(type(error)(error.detail))
            # Retrieved here, since the waiting task may be cancelled first and asyncio would log the exception.
            future.exception()


def check_id(job_id: str) -> None:
    """Raise ``JobNotFound`` for a malformed job id."""
    # One id that the database refuses, such as one with a NUL, would fail the query that all clients share.
    if not _ID.fullmatch(job_id):
        raise unknown_job(job_id)


def unknown_job(job_id: str) -> JobNotFound:
    """Return the error for an unknown job and for another owner's job, which must be indistinguishable."""
    return JobNotFound(f"job {job_id!r} not found")
