"""Batches of an open gate: accept, read and cancel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mediagate.api.jobs import cancel
from mediagate.api.pipelines import PipelineSources, make_order
from mediagate.api.runtime import Runtime
from mediagate.errors import BatchNotFound, Faults, JobConflict, JobNotFound, MediaDeleted
from mediagate.intake import SOURCE_ID, BatchOrder, PipelineOrder
from mediagate.jobs import report_batch
from mediagate.values import BatchState

_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One pipeline of ``gate.batch``, with the arguments of ``gate.pipeline``."""

    inputs: PipelineSources
    steps: Sequence[Mapping[str, Any]]
    preset: str | None = None
    ttl: timedelta | None = None
    client_reference_id: str | None = None
    callback_url: str | None = None


async def make_batch(
    items: Sequence[BatchItem],
    runtime: Runtime,
    *,
    source: str,
    source_id: str | int = SOURCE_ID,
    client_reference_id: str | None = None,
    callback_url: str | None = None,
    owner: str | None = None,
) -> BatchOrder:
    """Return the order of a batch; raises ``InvalidPipeline`` with the faults of all its items."""
    faults, orders = Faults(), list[PipelineOrder]()
    for number, item in enumerate(items):
        with faults.at(f"/jobs/{number}"):
            order = await make_order(
                item.inputs,
                runtime,
                steps=item.steps,
                source=source,
                source_id=source_id,
                preset=item.preset,
                ttl=item.ttl,
                client_reference_id=item.client_reference_id,
                callback_url=item.callback_url,
                owner=owner,
            )
            orders.append(order)
    faults.check()
    return BatchOrder(tuple(orders), client_reference_id or None, callback_url or None)


async def get_batch(batch_id: str, runtime: Runtime, *, owner: str | None) -> BatchState:
    """Return a batch with its jobs; raises ``BatchNotFound``, also if another owner has it."""
    state = await runtime.parts.records.batches.get(batch_id) if _ID.fullmatch(batch_id) else None
    if state is None or not state.children or owner not in (None, state.batch.owner_id):
        raise BatchNotFound(f"batch {batch_id!r:.80} not found")
    return state


async def cancel_batch(batch_id: str, runtime: Runtime, *, owner: str | None) -> BatchState:
    """Cancel the live jobs of a batch and return it; idempotent. Raises ``BatchNotFound``."""
    state = await get_batch(batch_id, runtime, owner=owner)
    for child in state.children:
        if not child.status.terminal:
            # It may have ended, or have been erased, meanwhile.
            with suppress(JobConflict, JobNotFound, MediaDeleted):
                await cancel(child.job_id, runtime)
    if state.batch.reported_at is None:
        await report_batch(batch_id, runtime.parts)
    return await get_batch(batch_id, runtime, owner=owner)
