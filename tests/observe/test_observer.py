"""Observers: nested in order; a broken observer is logged and does not affect the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from starlette.requests import Request

from mediagate import Job, JobStatus, MediaGate
from mediagate.observe import Observer, Step

pytestmark = pytest.mark.anyio


class Noting(Observer):
    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes

    def during(
        self, step: Step, *, job: Job | None = None, request: Request | None = None
    ) -> AbstractContextManager[None]:
        return self._noted(step)

    @contextmanager
    def _noted(self, step: str) -> Iterator[None]:
        self.notes.append(f"{self.name} {step}")
        try:
            yield
        finally:
            self.notes.append(f"{self.name} {step} over")

    def storage_called(self, call: str, seconds: float, *, failed: bool) -> None:
        assert seconds >= 0
        self.notes.append(f"{self.name} {call}{' failed' if failed else ''}")


class Broken(Observer):
    """Raises at the start of some steps and at the end of others."""

    def during(
        self, step: Step, *, job: Job | None = None, request: Request | None = None
    ) -> AbstractContextManager[None]:
        if step == "render":
            raise LookupError("no such metric")
        return self._raising(step)

    @contextmanager
    def _raising(self, step: str) -> Iterator[None]:
        if step == "fetch":
            raise LookupError("no such metric")
        yield
        raise LookupError("no such metric")

    def traceparent(self) -> str | None:
        raise LookupError("no such trace")

    def storage_called(self, call: str, seconds: float, *, failed: bool) -> None:
        raise LookupError("no such storage")

    def status_asked(self, *, in_memory: bool) -> None:
        raise LookupError("no such question")


async def test_observers_are_nested_in_order_and_a_broken_one_is_only_logged(
    make_gate: Callable[..., MediaGate], photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    notes: list[str] = []
    gate = make_gate()
    for observer in (Noting("first", notes), Broken(), Noting("last", notes)):
        gate.observe(observer)
    async with gate:
        job = await gate.upload(photo, source_type="avatar", source_id="u1")
        assert (await gate.wait(job.job_id, timeout_s=30)).status is JobStatus.COMPLETE
    at = notes.index
    assert at("first upload") < at("last upload") < at("first put") < at("last upload over") < at("first upload over")
    for step in ("attempt", "fetch", "render", "publish", "record", "finish"):
        assert at(f"first {step}") < at(f"last {step}") < at(f"last {step} over") < at(f"first {step} over")
    assert at("first fetch") < at("first get") < at("first fetch over") < at("first render")
    broken = [entry for entry in caplog.records if entry.name == "mediagate.observe"]
    assert broken and all(entry.levelno == logging.ERROR and entry.exc_info for entry in broken)


async def test_failed_step_keeps_its_error_despite_a_broken_observer(
    make_gate: Callable[..., MediaGate], photo: bytes
) -> None:
    notes: list[str] = []
    gate = make_gate(max_attempts=1)
    gate.observe(Noting("one", notes))
    gate.observe(Broken())

    async def on_uploaded(job: Job) -> None:
        await gate.parts.storage.delete([job.staging_key])

    gate.add_hook("on_uploaded", on_uploaded)
    async with gate:
        job = await gate.upload(photo, source_type="avatar", source_id="u1")
        done = await gate.wait(job.job_id, timeout_s=30)
    assert (done.status, done.job.code) == (JobStatus.FAILED, "staged_file_lost")
    assert "one get" in notes and "one get failed" not in notes
    assert "one fetch over" in notes and "one render" not in notes
