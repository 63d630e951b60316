"""The janitor: finds jobs that nobody works on any more, what has expired, and files that nobody knows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from mediagate.ending import finish
from mediagate.errors import MediagateError
from mediagate.expiry import BATCH, expire_media, expire_uploads
from mediagate.logs import cause_of
from mediagate.media import JobStatus
from mediagate.outbox import job_events
from mediagate.parts import Parts
from mediagate.reservation import holding
from mediagate.storage import ObjectInfo, segment
from mediagate.uploads import sweep_spool

log = logging.getLogger("mediagate.janitor")

FILES_EVERY_S = 3600.0
"""How often one of a gate's processes looks through the files; jobs are looked at every ``janitor_interval_s``."""
FILES_ASK_S = 300.0
"""How often each process asks whether it is its turn."""
FILES_TURN = "\nfiles"
"""Who holds this has the turn. No client's ``Idempotency-Key`` can be it: those do not begin with a line break."""
WORKERS_FIRST_S = 2.0
"""How long workers have after an outage, before jobs without an attempt left are failed."""
MOST_EXPIRED = 1000
"""How many media a running gate deletes in one round, so that jobs are looked at between them."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one round found; with ``dry_run`` nothing was changed."""

    failed: list[str] = field(default_factory=list)
    """Jobs whose worker died on every attempt."""
    finished: list[str] = field(default_factory=list)
    """Terminal jobs whose hooks had not all run."""
    expired_keys: int = 0
    staging: list[str] = field(default_factory=list)
    """Quarantined files without a live job."""
    orphans: list[str] = field(default_factory=list)
    """Published files without a record."""
    spooled: int = 0
    """Files that killed processes of this machine left while they received them."""
    expired_media: list[str] = field(default_factory=list)
    """Media whose time was over."""
    expired_uploads: list[str] = field(default_factory=list)
    """Direct uploads that were not completed in time, or whose completion need not be remembered any longer."""


class Janitor:
    """Keeps records and files in step; safe to run in many processes at once."""

    def __init__(self, parts: Parts, spool_dir: Path) -> None:
        self._parts = parts
        self._spool_dir = spool_dir
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin the rounds; those through all files may take hours, and hold up no other."""
        self._loops = [asyncio.create_task(self._rounds()), asyncio.create_task(self._walks())]

    async def stop(self) -> None:
        """End the rounds."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._loops = []

    async def sweep_jobs(self) -> Findings:
        """Fail what was tried too often, finish what a crash left unfinished, forget expired keys."""
        records = self._parts.records
        now = await records.now()
        events_of = partial(job_events, parts=self._parts)
        failed = list(await records.fail_exhausted(now=now, limit=BATCH, events_of=events_of))
        left = now - timedelta(seconds=self._parts.settings.lease_s)
        unfinished = list(await records.unnotified(before=left, limit=BATCH))
        finished = list(dict.fromkeys([*failed, *unfinished]))
        for job_id in finished:
            try:
                await finish(job_id, self._parts)
            except Exception:  # one that cannot be finished must not keep the others from it
                log.exception("job %s could not be finished; it is tried again", job_id, extra={"job_id": job_id})
        return Findings(failed=failed, finished=finished, expired_keys=await records.expire_keys(now=now))

    async def sweep_expired(self, *, dry_run: bool, now: datetime | None = None, most: int | None = None) -> Findings:
        """Remove the direct uploads whose time is over, and about ``most`` of the media."""
        now = now or await self._parts.records.now()
        return Findings(
            expired_uploads=await expire_uploads(self._parts, now=now, dry_run=dry_run),
            expired_media=await expire_media(self._parts, now=now, dry_run=dry_run, most=most),
        )

    async def sweep_spool(self) -> Findings:
        """Remove what killed processes of this machine left while they received it."""
        older_than_s = self._parts.settings.staging_ttl_s
        return Findings(spooled=await asyncio.to_thread(sweep_spool, self._spool_dir, older_than_s=older_than_s))

    async def sweep_files(self, *, dry_run: bool, now: datetime | None = None) -> Findings:
        """Remove quarantined files that no live job needs, and published files that no record names."""
        now = now or await self._parts.records.now()
        findings = Findings()
        storage = self._parts.storage
        for prefix, useless, found in (
            ("staging/", self._stale_staging, findings.staging),
            ("media/", self._orphans, findings.orphans),
            ("originals/", self._orphans, findings.orphans),
        ):
            async for batch in _batches(storage.list(prefix)):
                keys = await useless(batch, now)
                found.extend(keys)
                if keys and not dry_run:
                    await storage.delete(keys)
        return findings

    async def sweep_files_in_turn(self) -> Findings:
        """Look through the files if none of the processes that share the records has done so for an hour."""
        records = self._parts.records
        async with holding(FILES_TURN, self._parts) as hold:
            if hold.found is not None:
                return Findings()
            findings = await self.sweep_files(dry_run=False)
        await records.keep_key(FILES_TURN, expires_at=await records.now() + timedelta(seconds=FILES_EVERY_S))
        return findings

    async def _stale_staging(self, batch: list[ObjectInfo], now: datetime) -> list[str]:
        """A job that failed keeps its file for a retry, for ``staging_ttl_s``; without a job it is an orphan.

        That of a direct upload is kept as long as it may be completed: ``sweep_expired`` removes it then.
        """
        settings, records, ids = self._parts.settings, self._parts.records, {segment(o.key, 1) for o in batch}
        jobs, awaited = await records.get_jobs(ids), await records.open_uploads(ids)
        stale = []
        for info in batch:
            job = jobs.get(segment(info.key, 1))
            if (job is not None and not job.status.terminal) or segment(info.key, 1) in awaited:
                continue
            since, keep_s = info.modified, settings.orphan_grace_s
            if job is not None and job.status is JobStatus.FAILED:
                since, keep_s = max(since, job.finished_at or since), settings.staging_ttl_s
            if since < now - timedelta(seconds=keep_s):
                stale.append(info.key)
        return stale

    async def _orphans(self, batch: list[ObjectInfo], now: datetime) -> list[str]:
        records = self._parts.records
        ids = {segment(o.key, 3) for o in batch}
        # Jobs first: one that ends between the two questions is live in the first, or its media is in the second.
        jobs = await records.jobs_of_media(ids)
        known = await records.existing_media(ids)
        grace = now - timedelta(seconds=self._parts.settings.orphan_grace_s)
        return [
            info.key
            for info in batch
            if (media_id := segment(info.key, 3)) not in known
            and (media_id not in jobs or jobs[media_id].terminal)
            and info.modified < grace
        ]

    async def _rounds(self) -> None:
        await asyncio.sleep(self._parts.settings.janitor_interval_s / 2)
        while True:
            if not await self._logged(self.sweep_jobs):
                await self._until_back()
            await self._logged(lambda: self.sweep_expired(dry_run=False, most=MOST_EXPIRED))
            await asyncio.sleep(self._parts.settings.janitor_interval_s)

    async def _walks(self) -> None:
        await asyncio.sleep(self._parts.settings.janitor_interval_s / 2)
        while True:
            await self._logged(self.sweep_spool)
            await self._logged(self.sweep_files_in_turn)
            await asyncio.sleep(FILES_ASK_S)

    async def _until_back(self) -> None:
        """Wait until the records are back, and workers had time to say what became of jobs whose leases ran out."""
        while True:
            await asyncio.sleep(self._parts.settings.janitor_interval_s)
            try:
                await self._parts.records.oldest_waiting()
            except MediagateError:
                continue
            await asyncio.sleep(WORKERS_FIRST_S)
            return

    async def _logged(self, sweep: Callable[[], Awaitable[Findings]]) -> bool:
        """Make a sweep and say what it found; ``False`` when it could not be made."""
        try:
            findings = await sweep()
        except MediagateError as exc:
            log.warning("round given up: %s", cause_of(exc))
            return False
        except Exception as exc:
            log.exception("round failed: %s", cause_of(exc))
            return False
        if findings != Findings():
            log.info("swept: %s", findings)
        return True


async def _batches(objects: AsyncIterator[ObjectInfo]) -> AsyncIterator[list[ObjectInfo]]:
    batch: list[ObjectInfo] = []
    async for info in objects:
        batch.append(info)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
