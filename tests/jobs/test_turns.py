"""Workers claim jobs by priority and fair shares, not in the order of uploads or of the queue."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from mediagate import Job, MediaGate, Source

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
SOURCES = {"avatar": Source(priority="high"), "post": Source(), "import": Source(priority="low")}


class Recorder:
    """Holds the first job until all others are uploaded, and notes the order in which jobs start."""

    def __init__(self, gate: MediaGate, number: int) -> None:
        self.order: list[Job] = []
        self.first, self.uploaded, self.all = anyio.Event(), anyio.Event(), anyio.Event()
        self._number = number
        gate.add_hook("pre_process", self._note)

    async def _note(self, job: Job) -> None:
        self.order.append(job)
        self.first.set()
        if len(self.order) == self._number:
            self.all.set()
        await self.uploaded.wait()


@pytest.mark.slow
async def test_claim_order_is_fair_between_owners(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(sources=SOURCES, max_queue=0)
    noted = Recorder(gate, 12)
    async with gate:
        with anyio.fail_after(120):
            for n in range(10):
                await gate.upload(photo, source_type="post", source_id=f"{n}", owner="ann")
            await noted.first.wait()
            await gate.upload(photo, source_type="post", source_id="1", owner="bob")
            await gate.upload(photo, source_type="post", source_id="2", owner="bob")
            noted.uploaded.set()
            await noted.all.wait()
    owners = [job.owner_id for job in noted.order]
    in_hand = gate.jobs_at_once
    assert owners[in_hand] == "bob", owners
    assert owners[in_hand + 1 : in_hand + 3].count("bob") == 1, owners
    assert [job.source_id for job in noted.order if job.owner_id == "ann"] == [f"{n}" for n in range(10)]


async def test_claim_order_prefers_higher_priorities(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(sources=SOURCES)
    noted = Recorder(gate, 8)
    async with gate:
        with anyio.fail_after(120):
            for n in range(gate.jobs_at_once):
                await gate.upload(photo, source_type="post", source_id=f"{n}")
            await noted.first.wait()
            for name in ("import", "post", "avatar", "import", "post", "avatar")[: 8 - gate.jobs_at_once]:
                await gate.upload(photo, source_type=name, source_id="u")
            noted.uploaded.set()
            await noted.all.wait()
    order = [job.source_type for job in noted.order][gate.jobs_at_once :]
    assert order == ["avatar", "avatar", "post", "post", "import", "import"]
