"""A picture that timed out gets one more attempt, alone: concurrent jobs may have caused the timeout."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from mediagate import MODERATOR, RECORDS, STORAGE, Job, JobStatus, MediaGate, Settings, Source
from mediagate.errors import StorageUnavailable
from mediagate.observe import Observer, Step
from mediagate.records import MemoryRecords
from mediagate.storage import MemoryStorage
from tests.support.forked import HARMLESS, POISONED
from tests.support.load import stretched
from tests.support.poison import Poison, hang

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MakeGate = Callable[..., MediaGate]


class Neighbours(Observer):
    """Notes the attempts that follow a timeout, and the jobs rendered concurrently with them."""

    def __init__(self) -> None:
        self.rendering: list[Job] = []
        self.again: list[Job] = []
        self.beside: set[str] = set()
        self.begun = asyncio.Event()

    def during(self, step: Step, *, job: Job | None = None, **_: Any) -> AbstractContextManager[object]:
        return self._rendered(job) if step == "render" and job is not None else nullcontext()

    @contextmanager
    def _rendered(self, job: Job) -> Iterator[None]:
        self.rendering.append(job)
        if job.code == "image_timeout":
            self.again.append(job)
            self.begun.set()
        if any(one.code == "image_timeout" for one in self.rendering):
            self.beside |= {one.id for one in self.rendering if one.code != "image_timeout"}
        try:
            yield
        finally:
            self.rendering.remove(job)


@asynccontextmanager
async def hanging(gate: MediaGate) -> AsyncIterator[Neighbours]:
    """Open a gate whose moderator hangs at ``POISONED``."""
    neighbours = Neighbours()
    gate.decorate(MODERATOR, Poison(hang))
    gate.observe(neighbours)
    async with gate, asyncio.timeout(60):
        yield neighbours


async def upload(gate: MediaGate, picture: bytes) -> str:
    return (await gate.upload(picture, source_type="avatar", source_id="u1")).job_id


async def test_second_attempt_after_a_timeout_is_the_last_and_runs_alone(make_gate: MakeGate) -> None:
    gate = make_gate(
        moderation="on",
        image_processes=2,
        image_timeout_s=1.5,
        max_attempts=5,
        retry_backoff_s=0.01,
        lease_s=stretched(1),
    )
    async with hanging(gate) as neighbours:
        slow = await upload(gate, POISONED)
        others = [await upload(gate, HARMLESS)]
        while not (status := await gate.get_status(slow)).status.terminal:
            others.append(await upload(gate, HARMLESS))
            await asyncio.sleep(0.05)
        assert (status.status, status.job.code, status.job.attempts) == (JobStatus.FAILED, "image_timeout", 2)
        assert status.job.retryable, "its file is kept"
        ends = [(await gate.wait(job_id, timeout_s=30)).status for job_id in others]
        assert set(ends) == {JobStatus.COMPLETE}
        assert ([job.id for job in neighbours.again], neighbours.beside) == ([slow], set())
        assert len(others) > 5


async def test_second_attempt_after_a_timeout_may_run_in_another_process(tmp_path: Path) -> None:
    """Even if the first process has started that attempt and released it."""
    settings: dict[str, Any] = {
        "data_dir": tmp_path, "image_processes": 1, "max_attempts": 5, "retry_backoff_s": 0.01, "drain_timeout_s": 0.1
    }  # fmt: skip

    def sharing(timeout_s: float) -> MediaGate:
        return MediaGate(
            sources={"avatar": Source()}, settings=Settings(**settings, image_timeout_s=timeout_s), moderation="on"
        )

    gate = sharing(2)
    async with hanging(gate) as neighbours:
        slow = await upload(gate, POISONED)
        await neighbours.begun.wait()
    gate = sharing(1)
    async with hanging(gate) as neighbours:
        job = (await gate.wait(slow, timeout_s=30)).job
    assert (job.status, job.code, job.attempts) == (JobStatus.FAILED, "image_timeout", 2)
    assert [again.id for again in neighbours.again] == [slow]


class AwayOnce(MemoryStorage):
    """Fails the second read of a quarantined file."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def get(self, key: str) -> bytes:
        self.reads += key.startswith("staging/")
        if self.reads == 2:
            raise StorageUnavailable("the bucket does not answer")
        return await super().get(key)


async def test_timed_out_job_gets_no_third_attempt_after_an_outage(make_gate: MakeGate) -> None:
    gate, storage = (
        make_gate(moderation="on", memory=False, image_timeout_s=1, max_attempts=5, retry_backoff_s=0.01),
        AwayOnce(),
    )
    gate.decorate(STORAGE, storage)
    gate.decorate(RECORDS, MemoryRecords())
    async with hanging(gate) as neighbours:
        slow = await upload(gate, POISONED)
        job = (await gate.wait(slow, timeout_s=30)).job
        assert (job.status, job.code, job.attempts) == (JobStatus.FAILED, "image_timeout", 2)
        assert (len(neighbours.again), storage.reads) == (1, 3)


async def test_retry_resets_the_attempts_of_a_timed_out_job(make_gate: MakeGate) -> None:
    gate = make_gate(moderation="on", image_timeout_s=0.8, retry_backoff_s=0.01)
    async with hanging(gate) as neighbours:
        slow = await upload(gate, POISONED)
        for _ in range(2):
            assert (await gate.wait(slow, timeout_s=30)).job.attempts == 2
            neighbours.again.clear()
            await gate.retry(slow)
            assert (await gate.get_status(slow)).job.code is None
