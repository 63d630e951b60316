"""The janitor: finds abandoned jobs, expired media and uploads, and files without a record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from mediagate.errors import MediagateError
from mediagate.intake import sweep_spool
from mediagate.jobs.batch_end import report_batches
from mediagate.jobs.end import resume_finish
from mediagate.jobs.events import job_events
from mediagate.jobs.expiry import BATCH, expire_media, expire_outputs, expire_uploads
from mediagate.jobs.file_mark import PAGE, adopt, is_set_back, mark_files
from mediagate.jobs.walk import Look, Walk
from mediagate.observe import cause_of
from mediagate.parts import Parts
from mediagate.records import hold
from mediagate.values import STAGING

log = logging.getLogger("mediagate.janitor")

FILES_EVERY_S = 3600.0
"""How often one of a gate's processes walks through the files; jobs are checked every ``janitor_interval_s``."""
FILES_ASK_S = 300.0
"""How often each process checks whether it is its turn."""
SPOOL_EVERY_S = 300.0
"""How often a process without a worker looks for partly received files."""
FILES_TURN = "\nfiles"
"""The holder of this lock has the turn. It cannot collide with a client's ``Idempotency-Key``, which never begins with
a line break."""
WORKERS_FIRST_S = 2.0
"""How long workers have after an outage before jobs without a remaining attempt are failed."""
MOST_EXPIRED = 1000
"""How many media a running gate deletes in one round, so that jobs are looked at between them."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The results of one round; with ``dry_run`` nothing was changed."""

    failed: list[str] = field(default_factory=list)
    """Jobs whose worker died on every attempt."""
    finished: list[str] = field(default_factory=list)
    """Terminal jobs whose hooks had not all run."""
    batches: list[str] = field(default_factory=list)
    """Batches whose end had not been reported."""
    expired_keys: int = 0
    staging: list[str] = field(default_factory=list)
    """Quarantined files without a live job."""
    orphans: list[str] = field(default_factory=list)
    """Published files without a record."""
    useless: int = 0
    """All files that may be removed; one walk removes 20,000 at most."""
    left: int = 0
    """How many of them are left to the next walk by that limit."""
    doubt: str | None = None
    """Why no files were removed."""
    spooled: int = 0
    """Partly received files of killed processes on this machine."""
    expired_media: list[str] = field(default_factory=list)
    """Expired media."""
    expired_outputs: list[str] = field(default_factory=list)
    """Jobs whose outputs have expired."""
    expired_uploads: list[str] = field(default_factory=list)
    """Direct uploads that were not completed in time, or were completed long enough ago."""

    @property
    def summary(self) -> str:
        """The count of each kind, as one short line."""
        found = {name: len(value) if isinstance(value, list) else value for name, value in asdict(self).items()}
        return ", ".join(f"{name}: {value}" for name, value in found.items() if value)


class Janitor:
    """Keeps records and files consistent; safe to run in many processes concurrently."""

    def __init__(self, parts: Parts, spool_dir: Path) -> None:
        self._parts = parts
        self._spool_dir = spool_dir
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the rounds; the walk through all files may take hours and does not delay the others."""
        self._loops = [asyncio.create_task(self._rounds()), asyncio.create_task(self._walks())]

    def start_spool(self) -> None:
        """Start the rounds of a process without a worker: its machine may have none that would empty the spool."""
        self._loops = [asyncio.create_task(self._spool_rounds())]

    async def stop(self) -> None:
        """Stop the rounds."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._loops = []

    async def sweep_jobs(self) -> Findings:
        """Fail jobs without a remaining attempt, finish jobs and batches after a crash, delete expired keys."""
        records = self._parts.records
        now = await records.now()
        events_of = partial(job_events, parts=self._parts)
        failed = list(await records.fail_exhausted(now=now, limit=BATCH, events_of=events_of))
        left = now - timedelta(seconds=self._parts.settings.lease_s)
        unfinished = list(await records.unnotified(before=left, limit=BATCH))
        finished = list(dict.fromkeys([*failed, *unfinished]))
        for job_id in finished:
            try:
                await resume_finish(job_id, self._parts)
            except Exception:  # one failing job must not block the others
                log.exception("job %s: could not be finished; retrying later", job_id, extra={"job_id": job_id})
        batches = await report_batches(self._parts)
        return Findings(failed=failed, finished=finished, batches=batches, expired_keys=await records.forget(now=now))

    async def sweep_expired(self, *, dry_run: bool, now: datetime | None = None, most: int | None = None) -> Findings:
        """Delete expired direct uploads, and about ``most`` of the expired media and outputs."""
        now = now or await self._parts.records.now()
        return Findings(
            expired_uploads=await expire_uploads(self._parts, now=now, dry_run=dry_run),
            expired_media=await expire_media(self._parts, now=now, dry_run=dry_run, most=most),
            expired_outputs=await expire_outputs(self._parts, now=now, dry_run=dry_run, most=most),
        )

    async def sweep_spool(self) -> Findings:
        """Remove the partly received files of killed processes on this machine."""
        older_than_s = self._parts.settings.staging_ttl_s
        return Findings(spooled=await asyncio.to_thread(sweep_spool, self._spool_dir, older_than_s=older_than_s))

    async def mark_files(self) -> Findings:
        """Write the database's generation to the storage, so that an older copy of the database is recognized."""
        await mark_files(self._parts)
        return Findings()

    async def sweep_files(self, *, dry_run: bool, now: datetime | None = None, really: int | None = None) -> Findings:
        """Remove quarantined files that no live job needs, and published files that no record names.

        Nothing is removed while there is a doubt that the database has all of its rows, unless ``really`` allows at
        least this number of files. Raises ``ConfigError`` for the files of another database.
        """
        parts = self._parts
        walk = Walk(parts, now or await parts.records.now())
        await is_set_back(parts)
        look = await walk.look()
        doubt = await walk.doubt(look)
        insists = really is not None and 0 < look.count <= really
        if dry_run:
            return _found([info.key for info in look.files], look, doubt)
        if doubt is not None and not insists:
            log.error("no files were removed: %s. %s", doubt, what_to_do(look.count))
            return _found([], look, doubt)
        removed = await walk.remove(look.files)
        findings = _found(removed, look, None)
        if insists and not findings.left and await is_set_back(parts):
            await adopt(parts)
        return findings

    async def sweep_files_in_turn(self) -> Findings:
        """Walk through the files unless a process that shares the records has done so within the last hour."""
        records = self._parts.records
        async with hold(FILES_TURN, self._parts.records) as lock:
            if lock.found is not None:
                return Findings()
            findings = await self.sweep_files(dry_run=False)
            await records.batches.forget()
        await records.keep_key(FILES_TURN, expires_at=await records.now() + timedelta(seconds=FILES_EVERY_S))
        return findings

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
            await self._logged(self.mark_files)
            await self._logged(self.sweep_files_in_turn)
            await asyncio.sleep(FILES_ASK_S)

    async def _spool_rounds(self) -> None:
        await asyncio.sleep(self._parts.settings.janitor_interval_s / 2)
        while True:
            await self._logged(self.sweep_spool)
            await asyncio.sleep(SPOOL_EVERY_S)

    async def _until_back(self) -> None:
        """Wait until the records are available and workers had time to settle jobs whose leases expired meanwhile."""
        while True:
            await asyncio.sleep(self._parts.settings.janitor_interval_s)
            try:
                await self._parts.records.oldest_waiting()
            except MediagateError:
                continue
            await asyncio.sleep(WORKERS_FIRST_S)
            return

    async def _logged(self, sweep: Callable[[], Awaitable[Findings]]) -> bool:
        """Run a sweep and log its findings; ``False`` when it failed."""
        try:
            findings = await sweep()
        except MediagateError as exc:
            log.warning("round aborted: %s", cause_of(exc))
            return False
        except Exception as exc:
            log.exception("round failed: %s", cause_of(exc))
            return False
        if findings != Findings():
            log.info("swept: %s", findings.summary)
        return True


def what_to_do(count: int) -> str:
    """Return the advice for the operator after a walk that found ``count`` files to remove and removed none."""
    return (
        f"If the database was restored, or is not the right one, see {PAGE}. If these files may be "
        f"deleted, remove them with `mediagate janitor --really {count}`; `--dry-run` lists them"
    )


def _found(keys: list[str], look: Look, doubt: str | None) -> Findings:
    staging = [key for key in keys if key.startswith(STAGING)]
    orphans = [key for key in keys if not key.startswith(STAGING)]
    return Findings(
        staging=staging, orphans=orphans, left=look.count - len(look.files), doubt=doubt, useless=look.count
    )
