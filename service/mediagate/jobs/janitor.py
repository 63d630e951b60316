"""The janitor: finds jobs that nobody works on any more, what has expired, and files that nobody knows."""

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
from mediagate.jobs.end import resume_finish
from mediagate.jobs.events import job_events
from mediagate.jobs.expiry import BATCH, expire_media, expire_uploads
from mediagate.jobs.file_mark import adopt, is_set_back, mark_files
from mediagate.jobs.walk import Look, Walk
from mediagate.observe import cause_of
from mediagate.parts import Parts
from mediagate.records import hold
from mediagate.values import STAGING

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
    useless: int = 0
    """All files that might go, of which a walk removes 20,000 at most."""
    left: int = 0
    """How many of them it left to the next one for that reason."""
    doubt: str | None = None
    """Why none were removed."""
    spooled: int = 0
    """Files that killed processes of this machine left while they received them."""
    expired_media: list[str] = field(default_factory=list)
    """Media whose time was over."""
    expired_uploads: list[str] = field(default_factory=list)
    """Direct uploads that were not completed in time, or whose completion need not be remembered any longer."""

    @property
    def summary(self) -> str:
        """How many of each kind there were, in few words however many that is."""
        found = {name: len(value) if isinstance(value, list) else value for name, value in asdict(self).items()}
        return ", ".join(f"{name}: {value}" for name, value in found.items() if value)


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
                await resume_finish(job_id, self._parts)
            except Exception:  # one that cannot be finished must not keep the others from it
                log.exception("job %s could not be finished; it is tried again", job_id, extra={"job_id": job_id})
        return Findings(failed=failed, finished=finished, expired_keys=await records.forget(now=now))

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

    async def mark_files(self) -> Findings:
        """Note among the files how far the database has come, to tell it from an older copy of it."""
        await mark_files(self._parts)
        return Findings()

    async def sweep_files(self, *, dry_run: bool, now: datetime | None = None, really: int | None = None) -> Findings:
        """Remove quarantined files that no live job needs, and published files that no record names.

        Nothing is removed where there is a doubt that the database knows all that is its own, unless it is ``really``
        so many files that may go, or fewer. Raises ``ConfigError`` for the files of another database.
        """
        parts = self._parts
        walk = Walk(parts, now or await parts.records.now())
        await is_set_back(parts)
        look = await walk.look()
        doubt = await walk.doubt(look)
        insists = really is not None and look.count <= really
        if dry_run:
            return _found([info.key for info in look.files], look, doubt)
        if doubt is not None and not insists:
            log.error("no files are removed: %s. %s", doubt, what_to_do(look.count))
            return _found([], look, doubt)
        removed = await walk.remove(look.files)
        findings = _found(removed, look, None)
        if insists and not findings.left and await is_set_back(parts):
            await adopt(parts)
        return findings

    async def sweep_files_in_turn(self) -> Findings:
        """Look through the files if none of the processes that share the records has done so for an hour."""
        records = self._parts.records
        async with hold(FILES_TURN, self._parts.records) as lock:
            if lock.found is not None:
                return Findings()
            findings = await self.sweep_files(dry_run=False)
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
            log.info("swept: %s", findings.summary)
        return True


def what_to_do(count: int) -> str:
    """Return what somebody is to do about a walk that removed nothing, though so many files may go."""
    return (
        "If the database was restored, or is not the right one, see docs/how-to/back-up.md. If these files may go, "
        f"remove them with `mediagate janitor --really {count}`; `--dry-run` lists them"
    )


def _found(keys: list[str], look: Look, doubt: str | None) -> Findings:
    staging = [key for key in keys if key.startswith(STAGING)]
    orphans = [key for key in keys if not key.startswith(STAGING)]
    return Findings(
        staging=staging, orphans=orphans, left=look.count - len(look.files), doubt=doubt, useless=look.count
    )
