"""Exporting the data of an owner to an archive."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mediagate.api.archive import Archive
from mediagate.api.owner import BATCH, check_named, usage_ever
from mediagate.api.owner_records import (
    batch_record,
    job_record,
    media_record,
    output_record,
    upload_record,
    usage_record,
)
from mediagate.api.runtime import Runtime
from mediagate.errors import ObjectNotFound, OwnerNotFound
from mediagate.parts import Parts
from mediagate.values import Export, Exported, JobState, JobStatus, Media, iso

log = logging.getLogger("mediagate.owners")

MOST_PASSES = 1000
"""How many results of judging one picture again are exported."""
FORMAT, VERSION = "mediagate-export", 1


async def export(owner: str, to: str | Path, runtime: Runtime) -> Exported:
    """Write an archive of everything that records, storage and plugins hold of an owner.

    Raises ``InvalidParameter``, ``OwnerNotFound``, ``ExportFailed``, ``Unavailable``, and the errors of ``pre_export``
    hooks; then no partial file is left.
    """
    check_named(owner)
    parts = runtime.parts
    now = await parts.records.now()
    async with Archive(Path(to), now=now) as archive:
        collected = Export(owner)
        await parts.hooks.run("pre_export", collected)
        usage = await usage_ever(owner, parts)
        exporter = _Exporter(owner, parts, archive, Exported(archive.path))
        await exporter.write_uploads()
        await exporter.write_batches()
        await exporter.write_jobs()
        exported = replace(exporter.exported, others={table: len(rows) for table, rows in collected.tables.items()})
        if not (exported.jobs or exported.uploads or any(exported.others.values())):
            raise OwnerNotFound(f"owner {owner!r}: nothing is on record; check the name and the gate")
        for table, rows in collected.tables.items():
            for row in rows:
                await archive.write_line(table, row)
        await archive.write_tables()
        await archive.write_json("usage.json", usage_record(usage))
        await archive.write_json("export.json", _manifest(owner, exported, iso(now)))
    log.info("exported an owner: %d jobs, %d media, %d files", exported.jobs, exported.media, exported.files)
    return exported


def _manifest(owner: str, exported: Exported, created_at: str | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "owner": owner,
        "createdAt": created_at,
        **{name: number for name, number in asdict(exported).items() if name not in ("path", "others")},
        "tables": dict(exported.others),
    }


@dataclass(slots=True)
class _Exporter:
    """Writes the rows and files of an owner, and counts them."""

    owner: str
    parts: Parts
    archive: Archive
    exported: Exported
    """The counts so far."""

    async def write_uploads(self) -> None:
        """Write the direct uploads, ordered by id."""
        after = ""
        while batch := await self.parts.records.uploads_of(self.owner, limit=BATCH, after=after):
            for upload in batch:
                received = await self.parts.storage.stat(upload.staging_key) is not None
                await self.archive.write_line("uploads", upload_record(upload, received=received))
            self._count(uploads=len(batch))
            after = batch[-1].id

    async def write_batches(self) -> None:
        """Write the batches, ordered by id; each of their jobs names its batch."""
        after = ""
        while page := await self.parts.records.batches.of_owner(self.owner, limit=BATCH, after=after):
            for batch in page:
                await self.archive.write_line("batches", batch_record(batch))
            self._count(batches=len(page))
            after = page[-1].id

    async def write_jobs(self) -> None:
        """Write the jobs with the files of their media, the newest first."""
        cursor: str | None = None
        while True:
            page = await self.parts.records.list_jobs(owner_id=self.owner, limit=BATCH, cursor=cursor)
            for state in page.items:
                await self._write_job(state)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _write_job(self, state: JobState) -> None:
        job = state.job
        media = await self._write_media(state.media) if state.media else None
        kept = job.status is not JobStatus.COMPLETE and any(
            [await self.parts.storage.stat(key) is not None for key in job.staged_keys]
        )
        outputs = [
            {**output_record(output), **await self._write_file(output.key, job.finished_at or job.created_at)}
            for output in state.outputs
        ]
        again = await self.parts.records.rejudgements.list_rejudgements(job_id=job.id, limit=MOST_PASSES)
        await self.archive.write_line("jobs", job_record(job, media, again, outputs, quarantined=kept))
        self._count(jobs=1)

    async def _write_media(self, media: Media) -> dict[str, Any]:
        original = await self._write_file(media.original_key, media.created_at) if media.original_key else None
        variants = [
            {
                "name": variant.name,
                "format": variant.format,
                "width": variant.width,
                "height": variant.height,
                **await self._write_file(variant.key, media.created_at),
            }
            for variant in media.variants
        ]
        self._count(media=1)
        return media_record(media, original, variants)

    async def _write_file(self, key: str, modified: datetime) -> dict[str, Any]:
        """Write a file under its storage key; a file that the storage does not have gets no path."""
        try:
            size, sha256 = await self.archive.write_file(key, self.parts.storage.stream(key), modified=modified)
        except ObjectNotFound:
            self._count(missing=1)
            return {"path": None, "bytes": None, "sha256": None}
        self._count(files=1, bytes=size)
        return {"path": key, "bytes": size, "sha256": sha256}

    def _count(self, **more: int) -> None:
        counts = {name: getattr(self.exported, name) + number for name, number in more.items()}
        self.exported = replace(self.exported, **counts)
