"""The acceptance of a batch: the inputs of all its jobs received and checked, then one transaction."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mediagate.config import Source
from mediagate.errors import ConfigError, Faults, InvalidParameter, UploadInFlight
from mediagate.intake.acceptance import announce, log_unrecorded
from mediagate.intake.callbacks import check_callback
from mediagate.intake.examination import Examination
from mediagate.intake.idempotency import ReservedKey, replay, replay_until
from mediagate.intake.pipelines import PipelineOrder, make_pipeline, receive_inputs
from mediagate.intake.spool import SpooledFile
from mediagate.intake.unlocking import unlocked
from mediagate.parts import Parts
from mediagate.values import (
    Batch,
    BatchChild,
    BatchState,
    IncomingBatch,
    Job,
    callback_problem,
    new_id,
    reference_problem,
)

if TYPE_CHECKING:
    from mediagate.images import Recipe

MOST_JOBS = 1000
"""Jobs of one batch: all of them are recorded in one transaction."""
MOST_STEPS_BYTES = 32 * 1024 * 1024
"""Bytes of the steps of all jobs of a batch as JSON: each job stores its own, with its look-up tables."""
AT_ONCE = 8
"""Files that are put into quarantine concurrently."""


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """A request for several pipelines of one source, which are independent of each other."""

    orders: tuple[PipelineOrder, ...]
    client_reference_id: str | None = None
    callback_url: str | None = None

    @property
    def source_type(self) -> str:
        """The source of all jobs."""
        return self.orders[0].source_type

    def check(self, sources: Mapping[str, Source]) -> None:
        """Raise ``InvalidParameter`` for the batch, and ``InvalidPipeline`` with the faults of all its jobs."""
        if not 1 <= len(self.orders) <= MOST_JOBS:
            raise InvalidParameter(f"jobs: send 1 to {MOST_JOBS:,}")
        if len({(order.source_type, order.source_id) for order in self.orders}) > 1:
            raise InvalidParameter("jobs: use the same source and source id for all of them")
        for name, problem in (
            ("clientReferenceId", reference_problem(self.client_reference_id)),
            ("callbackUrl", callback_problem(self.callback_url)),
        ):
            if problem is not None:
                raise InvalidParameter(f"{name}: {problem}")
        faults = Faults()
        for number, order in enumerate(self.orders):
            with faults.at(place_of(number)):
                order.check(sources)
        faults.check()
        counted = 0
        for order in self.orders:
            counted = count_steps(order.recipe, counted)

    def fingerprint(self, files: Sequence[Sequence[SpooledFile]]) -> str:
        """Return a hash of all jobs and of what accompanies them, which is never that of a single one."""
        jobs = [order.fingerprint(theirs) for order, theirs in zip(self.orders, files, strict=True)]
        told = ["batch", jobs, self.client_reference_id, self.callback_url]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def count_steps(recipe: Recipe, counted: int) -> int:
    """Return the bytes of the steps of one more job and those counted before; raises ``InvalidParameter``."""
    counted += len(json.dumps(recipe.to_json()))
    if counted > MOST_STEPS_BYTES:
        raise InvalidParameter(
            f"jobs: the steps of all jobs together are larger than {MOST_STEPS_BYTES:,} bytes; send some jobs with "
            "another request"
        )
    return counted


def place_of(number: int) -> str:
    """Return the JSON Pointer of a job in the request."""
    return f"/jobs/{number}"


async def accept_batch(
    order: BatchOrder,
    parts: Parts,
    spool_dir: Path,
    *,
    held: ReservedKey | None,
    owner: str | None,
    key_id: str | None = None,
) -> tuple[BatchState, Sequence[Job]]:
    """Receive and quarantine the inputs of all jobs and record the batch; return it and its new jobs.

    When this returns, the batch and its jobs survive any crash; if it raises, there is none of them. Under a reused
    key, the same order gets the existing batch, without new jobs, and a different one raises ``IdempotencyKeyReused``.
    Raises ``InvalidPipeline`` with the errors of ``POST /upload`` for the inputs of all jobs, the errors of
    ``pre_batch`` hooks, ``CallbacksUnavailable``, and ``ConfigError`` if this gate runs no pipelines.
    """
    _check_callbacks(order, parts)
    async with AsyncExitStack() as received:
        files = await _receive(order, parts, spool_dir, received)
        fingerprint = order.fingerprint(files)
        if held is not None and held.fingerprint is not None:
            return await _replay(held.key, fingerprint, parts), ()
        files = await _unlock(order, files, parts, spool_dir, received)
        batch = await _make_batch(order, files, parts, owner=owner)
        jobs = await _make_jobs(order, files, batch, parts, owner=owner, key_id=key_id)
        await _quarantine(jobs, files, parts)
    with log_unrecorded(jobs[0]):
        ours = await parts.records.batches.create(
            batch,
            jobs,
            key=held.key if held else None,
            fingerprint=fingerprint if held else None,
            key_expires_at=replay_until(jobs[0], parts) if held else None,
        )
    if not ours and held is not None:
        await parts.storage.delete([key for job in jobs for key in job.staged_keys])
        return await _replay(held.key, fingerprint, parts), ()
    for job in jobs:
        await announce(job, parts)
    return BatchState(batch, tuple(BatchChild.of(job) for job in jobs)), jobs


def _check_callbacks(order: BatchOrder, parts: Parts) -> None:
    check_callback(order.callback_url, parts)
    faults = Faults()
    for number, one in enumerate(order.orders):
        with faults.at(place_of(number)):
            check_callback(one.callback_url, parts)
    faults.check()


async def _receive(
    order: BatchOrder, parts: Parts, spool_dir: Path, received: AsyncExitStack
) -> list[list[SpooledFile]]:
    faults, files = Faults(), list[list[SpooledFile]]()
    for number, one in enumerate(order.orders):
        with faults.at(place_of(number)):
            files.append(await receive_inputs(one, parts, spool_dir, received))
    faults.check()
    return files


async def _unlock(
    order: BatchOrder,
    files: Sequence[Sequence[SpooledFile]],
    parts: Parts,
    spool_dir: Path,
    received: AsyncExitStack,
) -> list[list[SpooledFile]]:
    """Return the inputs, encrypted documents as copies that open without a password, until the stack is closed."""
    from mediagate.images import password_of  # lazily: only gates that run pipelines load the operations

    faults, opened = Faults(), list[list[SpooledFile]]()
    # One copy for all jobs: hundreds of them may use the same document.
    copies: dict[tuple[Path, str | None], SpooledFile] = {}
    for number, (one, theirs) in enumerate(zip(order.orders, files, strict=True)):
        source, password = parts.sources[one.source_type], password_of(one.recipe)
        with faults.at(place_of(number)):
            for file in theirs:
                if (file.path, password) not in copies:
                    unlocking = unlocked(file, one.recipe, parts, source, spool_dir)
                    copies[file.path, password] = await received.enter_async_context(unlocking)
            opened.append([copies[file.path, password] for file in theirs])
    faults.check()
    return opened


async def _make_batch(
    order: BatchOrder, files: Sequence[Sequence[SpooledFile]], parts: Parts, *, owner: str | None
) -> Batch:
    incoming = IncomingBatch(
        source_type=order.source_type,
        jobs=len(order.orders),
        bytes=sum(file.bytes for theirs in files for file in theirs),
        client_reference_id=order.client_reference_id,
        callback_url=order.callback_url,
        owner_id=owner,
    )
    await parts.hooks.run("pre_batch", incoming)
    return Batch(new_id("bat"), await parts.records.now(), order.client_reference_id, order.callback_url, owner)


async def _make_jobs(
    order: BatchOrder,
    files: Sequence[Sequence[SpooledFile]],
    batch: Batch,
    parts: Parts,
    *,
    owner: str | None,
    key_id: str | None,
) -> list[Job]:
    """Examine each input of each job, and return the jobs to record."""
    if parts.operations is None:
        raise ConfigError("this gate runs no pipelines: no plugin has provided OPERATIONS")
    faults, jobs = Faults(), list[Job]()
    examination = Examination(parts.sources[order.source_type], parts)
    for number, (one, theirs) in enumerate(zip(order.orders, files, strict=True)):
        if faults.full:
            break  # decoding the same broken file for each of a thousand jobs would take minutes
        with faults.at(place_of(number)):
            referred = one.referred(parts.operations)
            job = await make_pipeline(one, theirs, referred, examination, parts, owner=owner, key_id=key_id)
            jobs.append(replace(job, batch_id=batch.id, batch_position=number, created_at=batch.created_at))
    faults.check()
    return jobs


async def _quarantine(jobs: Sequence[Job], files: Sequence[Sequence[SpooledFile]], parts: Parts) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def put(key: str, path: Path) -> None:
        async with free:
            await parts.storage.put(key, path)

    try:
        async with asyncio.TaskGroup() as group:
            for job, theirs in zip(jobs, files, strict=True):
                for key, file in zip(job.staged_keys, theirs, strict=True):
                    group.create_task(put(key, file.path))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _replay(key: str, fingerprint: str, parts: Parts) -> BatchState:
    """Return the batch of the request that used a key; raises like ``replay``."""
    job = await replay(key, fingerprint, parts)
    state = await parts.records.batches.get(job.batch_id or "")
    if state is None:
        raise UploadInFlight("the batch of this Idempotency-Key was erased meanwhile; send it again", retry_after_s=1)
    return state
