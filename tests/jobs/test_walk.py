"""The walk through the files removes orphans, unless their number casts doubt on the records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

import pytest

from mediagate import MediaGate
from mediagate.errors import ConfigError
from mediagate.jobs.janitor import Findings
from mediagate.records import Settlement
from mediagate.testing.record_samples import a_job, a_media, claimed_job
from mediagate.values import JobStatus, Variant, new_id, utcnow

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
LATER = timedelta(hours=2)


async def keys(gate: MediaGate) -> set[str]:
    storage = gate.parts.storage
    return {info.key for root in ("staging/", "media/", "originals/") async for info in storage.list(root)}


async def strays(gate: MediaGate, number: int, root: str = "media/avatar/u1/med") -> set[str]:
    made = {f"{root}_{n:03}/xs.webp" if root.startswith("media") else f"{root}_{n:03}" for n in range(number)}
    for key in made:
        await gate.parts.storage.put(key, b"whose?")
    return made


async def pictures(gate: MediaGate, number: int, files: int) -> set[str]:
    """Complete ``number`` jobs with ``files`` files each; returns the keys."""
    made: set[str] = set()
    for _ in range(number):
        job = await claimed_job(gate.parts.records, utcnow(), source_type="avatar", source_id="u2")
        place = f"media/avatar/u2/{job.media_id}"
        variants = tuple(Variant(f"v{n}", f"{place}/v{n}.webp", "webp", 1, 1, 1) for n in range(files))
        media = a_media(job, variants=variants, original_key=None)
        settlement = Settlement(JobStatus.COMPLETE, media)
        assert await gate.parts.records.settle(job, owner="worker", now=utcnow(), settlement=settlement)
        for key in media.keys:
            await gate.parts.storage.put(key, b"known")
        made |= set(media.keys)
    return made


async def swept(gate: MediaGate, **how: Any) -> Findings:
    return await gate.runtime.janitor.sweep_files(**{"dry_run": False, "now": utcnow() + LATER, **how})


async def test_walk_removes_many_unknown_files_only_when_confirmed(make_gate: MakeGate, caplog: Any) -> None:
    async with make_gate(worker=False) as gate:
        full = await strays(gate, 40)
        dry = await swept(gate, dry_run=True)
        assert set(dry.orphans) == full
        assert dry.doubt is not None
        found = await swept(gate)
        assert (found.orphans, found.useless) == ([], 40)
        assert await keys(gate) == full
        assert "40 of 40 published files have no record" in caplog.text
        assert "--really 40" in caplog.text
        assert (await swept(gate, really=39)).orphans == []
        assert await keys(gate) == full
        assert set((await swept(gate, really=40)).orphans) == full
        assert await keys(gate) == set()


@pytest.mark.parametrize(("known", "unknown", "goes"), [(0, 5, True), (20, 6, False), (200, 6, True), (200, 7, False)])
async def test_walk_removes_orphans_only_up_to_a_small_share(
    make_gate: MakeGate, known: int, unknown: int, goes: bool
) -> None:
    async with make_gate(worker=False) as gate:
        kept = await pictures(gate, known // 20, 20)
        left_over = await strays(gate, unknown)
        found = await swept(gate)
        assert set(found.orphans) == (left_over if goes else set())
        assert (found.doubt is None) is goes
        assert await keys(gate) == (kept if goes else kept | left_over)


async def test_walk_keeps_quarantined_files_while_published_files_are_in_doubt(make_gate: MakeGate) -> None:
    async with make_gate(worker=False) as gate:
        await strays(gate, 30, "staging/upl")
        await strays(gate, 30, "staging/job")
        assert len((await swept(gate)).staging) == 60
        await strays(gate, 30, "staging/job")
        await strays(gate, 6)
        found = await swept(gate)
        assert (found.staging, found.useless) == ([], 36)
        assert found.doubt == "6 of 6 published files have no record"


async def test_walk_keeps_files_younger_than_all_records(make_gate: MakeGate) -> None:
    async with make_gate(worker=False, orphan_grace_s=3600) as gate:
        await gate.parts.records.create_job(a_job(utcnow() - timedelta(days=1)))
        late = await strays(gate, 2)
        found = await swept(gate)
        assert found.orphans == []
        assert "newer than the last upload" in (found.doubt or "")
        await gate.parts.records.create_job(a_job(utcnow()))
        assert set((await swept(gate)).orphans) == late


async def test_walk_keeps_a_file_that_is_recorded_during_the_walk(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_gate(worker=False) as gate:
        records = gate.parts.records
        taken, _ = sorted(await strays(gate, 2))
        on_record, asked = records.jobs_of_media, 0

        async def known(
            media_ids: Collection[str], *, owner_id: str | None = None
        ) -> Mapping[str, tuple[JobStatus, bool]]:
            nonlocal asked
            asked += 1
            named = {taken.split("/")[3]: (JobStatus.COMPLETE, True)}
            return {**await on_record(media_ids), **(named if asked > 1 else {})}

        monkeypatch.setattr(records, "jobs_of_media", known)
        assert taken not in (await swept(gate)).orphans
        assert await keys(gate) == {taken}


async def test_walk_removes_a_bounded_number_of_files_at_once(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.jobs.walk.AT_ONCE", 2)
    async with make_gate(worker=False) as gate:
        await strays(gate, 5)
        found = [await swept(gate) for _ in range(3)]
        assert [(len(one.orphans), one.left) for one in found] == [(2, 3), (2, 1), (1, 0)]
        assert await keys(gate) == set()


async def test_orphan_grace_never_keeps_orphans_forever(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(worker=False, orphan_grace_s="never", staging_ttl_s=60) as gate:
        left_over = await strays(gate, 2) | await strays(gate, 2, "staging/job")
        status = await gate.upload(photo, source_type="avatar", source_id="u1")
        await gate.parts.records.cancel(status.job_id, now=utcnow())
        found = await swept(gate, now=utcnow() + timedelta(days=3650))
        assert found.staging == [status.job.staging_key], "a quarantined file of an ended job needs no grace"
        assert await keys(gate) == left_over


@pytest.mark.parametrize("grace", [-1, "often", "-3"])
async def test_orphan_grace_rejects_invalid_values(make_gate: MakeGate, grace: object) -> None:
    with pytest.raises(ConfigError, match="MEDIAGATE_ORPHAN_GRACE_S"):
        make_gate(orphan_grace_s=grace)
    assert new_id("db").startswith("db_")
