"""The check of records names the broken promise about batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from mediagate.records import MemoryRecords
from mediagate.records.memory.batches import MemoryBatches
from mediagate.testing.batches import check_batches
from mediagate.values import Batch, BatchState, Job, utcnow

pytestmark = pytest.mark.anyio


class IgnoresKeys(MemoryBatches):
    async def create(self, batch: Batch, jobs: Sequence[Job], **how: Any) -> bool:
        return await super().create(batch, jobs)


class ReportsEarly(MemoryBatches):
    async def report(self, batch_id: str, *, now: datetime, events_of: Any = None) -> bool:
        state = await self.get(batch_id)
        return bool(state and events_of and events_of(state))


class ReportsTwice(MemoryBatches):
    async def report(self, batch_id: str, *, now: datetime, events_of: Any = None) -> bool:
        state = await self.get(batch_id)
        if state is None or not state.status.terminal:
            return False
        self._outbox.write(events_of(state))
        return True


class LosesTheOrder(MemoryBatches):
    async def get(self, batch_id: str) -> BatchState | None:
        state = await super().get(batch_id)
        return state and BatchState(state.batch, state.children[::-1])


class ForgetsAll(MemoryBatches):
    async def forget(self, *, owner_id: str | None = None) -> int:
        return await super().forget()


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (IgnoresKeys, r"create\(\) under a key that is not ours must be False"),
        (ReportsEarly, r"report\(\) must be False while a job is live"),
        (ReportsTwice, r"report\(\) of a reported batch must be False"),
        (LosesTheOrder, r"batches.get\(\) must return all fields"),
        (ForgetsAll, r"forget\(\) must delete the batches of an owner"),
    ],
)
async def test_check_batches_names_the_broken_promise(broken: type[MemoryBatches], promise: str) -> None:
    records = MemoryRecords()
    records.batches = broken(records._jobs, records._keys, records._outbox, records._insert)
    with pytest.raises(AssertionError, match=promise):
        await check_batches(records, utcnow())
