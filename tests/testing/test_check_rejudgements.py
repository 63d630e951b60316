"""The check of records names the broken promise about judging published pictures again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from mediagate.records import MemoryRecords
from mediagate.records.memory.rejudgements import MemoryRejudgements
from mediagate.testing.rejudgements import check_rejudgements
from mediagate.values import Media, Rejudgement, RejudgementEnd, Rejudging, utcnow

pytestmark = pytest.mark.anyio


class BeginsAnew(MemoryRejudgements):
    async def begin(self, rejudging: Rejudging) -> Rejudging:
        for found in await self.get_rejudgings():
            await self.close_rejudging(found.id, now=rejudging.created_at)
        return await super().begin(rejudging)


class DrawsTwice(MemoryRejudgements):
    async def draw(self, rejudging: Rejudging, after: Media | None, **how: Any) -> bool:
        (found,) = await self.get_rejudgings([rejudging.id])
        return await super().draw(found, after, **how)


class ClaimsTheHeld(MemoryRejudgements):
    async def claim_again(self, rejudging: Rejudging, *, now: datetime, lease_until: datetime, **how: Any) -> Any:
        return await super().claim_again(rejudging, now=lease_until, lease_until=lease_until, **how)


class LetsNobodyWait(MemoryRejudgements):
    async def release(self, rejudgement_id: str, *, count_attempt: bool = True, **how: Any) -> bool:
        return await super().release(rejudgement_id, count_attempt=True, **how)


class LetsStrangersDelayThePass(MemoryRejudgements):
    async def release(self, rejudgement_id: str, *, available_at: datetime, **how: Any) -> bool:
        for one in await self.list_rejudgements(limit=99):
            found = self._passes[one.rejudging_id]
            self._passes[found.id] = replace(found, next_at=max(found.next_at, available_at))
        return await super().release(rejudgement_id, available_at=available_at, **how)


class EndsTwice(MemoryRejudgements):
    async def end(self, rejudgement: Rejudgement, end: RejudgementEnd, **how: Any) -> bool:
        await super().end(rejudgement, end, **how)
        return True


class ForgetsVerdicts(MemoryRejudgements):
    async def end(self, rejudgement: Rejudgement, end: RejudgementEnd, **how: Any) -> bool:
        return await super().end(rejudgement, replace(end, verdict=None), **how)


class TakesDownSilently(MemoryRejudgements):
    async def end(self, rejudgement: Rejudgement, end: RejudgementEnd, *, events: object = (), **how: Any) -> bool:
        return await super().end(rejudgement, end, **how)


class KeepsWhatIsErased(MemoryRejudgements):
    def erase(self, job_ids: object) -> None:
        """Keep all of them."""


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (BeginsAnew, r"begin\(\) must return the open pass"),
        (DrawsTwice, r"draw\(\) must be False for a pass that has changed"),
        (ClaimsTheHeld, r"claim_again\(\) of a held re-judgement must be None"),
        (LetsNobodyWait, r"an uncounted release\(\) must let the whole pass wait"),
        (LetsStrangersDelayThePass, r"release\(\) after a lapse must not let the pass wait"),
        (EndsTwice, "by another owner must be False"),
        (ForgetsVerdicts, r"the job after end\(\) PASSED"),
        (TakesDownSilently, r"end\(\) REJECTED must write the events"),
        (KeepsWhatIsErased, r"erase_jobs\(\) must delete the re-judgements"),
    ],
)
async def test_check_rejudgements_names_the_broken_promise(broken: type[MemoryRejudgements], promise: str) -> None:
    records = MemoryRecords()
    records.rejudgements = broken(records._jobs, records._media, records._outbox)
    with pytest.raises(AssertionError, match=promise):
        await check_rejudgements(records, utcnow())
