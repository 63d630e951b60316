"""One worker's re-judging: which pictures it claims and leaves, and what it records of an attempt."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mediagate import RECORDS, STORAGE, MediaGate, RejudgeAction, Rejudgement, RejudgementStatus, Rejudging
from mediagate.errors import StorageUnavailable
from mediagate.jobs.isolation import Isolation
from mediagate.jobs.rejudging import Rejudger
from mediagate.observe import Observer
from mediagate.values import rejudgement_id
from tests.support.channel_model import BLUE, RED, plain
from tests.support.forked import SharedForkServer
from tests.support.rejudging import FASTEST, TOLERANT, Place, place_in_memory

pytestmark = pytest.mark.anyio


class Outcomes(Observer):
    """Notes the results that are counted."""

    def __init__(self) -> None:
        self.counted: list[RejudgementStatus] = []

    def rejudged(self, source_type: str, status: RejudgementStatus) -> None:
        self.counted.append(status)


@dataclass
class Working:
    """An open gate whose worker has been stopped, so that only ``rejudger`` judges."""

    gate: MediaGate
    outcomes: Outcomes = field(default_factory=Outcomes)

    def __post_init__(self) -> None:
        parts = replace(self.gate.parts, observer=self.outcomes)
        self.rejudger = Rejudger(parts, self.gate.runtime.watch, Isolation(), owner="worker")

    async def passed_over(self, rejudging: Rejudging) -> Rejudging:
        """Make one attempt, and return the pass as it is then."""
        await self.rejudger.attend()
        (found,) = await self.gate.get_rejudgings(rejudging.id)
        return found


@asynccontextmanager
async def working(gate: MediaGate) -> AsyncIterator[Working]:
    async with gate:
        await gate.runtime.worker.stop(drain_s=9)
        yield Working(gate)


@pytest.fixture
def place(tmp_path: Path, fork_server: SharedForkServer) -> Place:
    return place_in_memory(tmp_path, fork_server)


async def test_rejudger_claims_nothing_while_an_upload_waits(place: Place) -> None:
    await place.publish(plain(RED))
    async with working(place.gate()) as one:
        (begun,) = await one.gate.rejudge()
        upload = await one.gate.upload(plain(BLUE), source_type="avatar", source_id="u2")
        assert (await one.passed_over(begun)).claims == 0
        assert not one.rejudger.found
        await one.gate.cancel(upload.job_id)
        assert (await one.passed_over(begun)).fell == 1
        assert one.rejudger.found


async def test_rejudger_leaves_out_current_pictures_at_once(place: Place) -> None:
    await place.publish(plain(RED), plain(BLUE), plain(BLUE, (120, 80)))
    async with working(place.gate(TOLERANT)) as one:
        (begun,) = await one.gate.rejudge(outdated=True, rate=1)
        found = await one.passed_over(begun)
        assert (found.current, found.judged, found.done) == (3, 0, True)


async def test_rejudger_says_once_that_it_leaves_a_pass(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    await place.publish(plain(RED))
    async with working(place.gate()) as one:
        now = await one.gate[RECORDS].now()
        elsewhere = Rejudging("rej_1", "avatar", RejudgeAction.LIST, now, now, FASTEST, moderator="gore")
        await one.gate[RECORDS].rejudgements.begin(elsewhere)
        with caplog.at_level(logging.WARNING, "mediagate.worker"):
            for _ in range(3):
                assert (await one.passed_over(elsewhere)).claims == 0
        (line,) = caplog.messages
        assert "not by this worker" in line and "gore" in line


async def test_rejudger_remembers_a_timeout_during_an_outage(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (red,) = await place.publish(plain(RED))

    async def unavailable(key: str) -> bytes:
        raise StorageUnavailable("the storage does not answer")

    async with working(place.gate()) as one:
        passes = one.gate[RECORDS].rejudgements
        (begun,) = await one.gate.rejudge(rate=FASTEST)
        now = await one.gate[RECORDS].now()
        (media,) = (await one.gate[RECORDS].list_media("avatar", None, limit=9)).items
        claimed = Rejudgement(
            rejudgement_id(begun.id, red.job_id), begun.id, red.job_id, media.id, now, lease_owner="a", lease_until=now
        )
        assert await passes.draw(begun, media, now=now, next_at=now, claimed=claimed)
        assert await passes.release(claimed.id, owner="a", available_at=now, error="e", code="image_timeout")
        monkeypatch.setattr(one.gate[STORAGE], "get", unavailable)
        await one.passed_over(begun)
        (waiting,) = await passes.list_rejudgements(limit=9)
        assert (waiting.status, waiting.attempts) == (RejudgementStatus.PENDING, 1)
        assert (waiting.code, waiting.error) == ("image_timeout", "e")


@pytest.mark.parametrize("meanwhile", ["nothing", "deleted", "stopped"])
async def test_rejudger_counts_the_recorded_result(
    place: Place, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    (red,) = await place.publish(plain(RED))
    async with working(place.gate()) as one:
        (begun,) = await one.gate.rejudge(action="reject")
        read = one.gate[STORAGE].get

        async def interrupted(key: str) -> bytes:
            data = await read(key)
            if meanwhile == "deleted":
                await one.gate.delete_media(red.job.media_id)
            if meanwhile == "stopped":
                await one.gate.close_rejudging(begun.id)
            return data

        monkeypatch.setattr(one.gate[STORAGE], "get", interrupted)
        found = await one.passed_over(begun)
        expected = {"nothing": [RejudgementStatus.REJECTED], "deleted": [RejudgementStatus.GONE], "stopped": []}
        assert one.outcomes.counted == expected[meanwhile]
        assert (found.fell, found.gone) == (meanwhile == "nothing", meanwhile == "deleted")
