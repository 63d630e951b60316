"""The work of ``mediagate janitor`` and ``mediagate adopt``, reported line by line."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mediagate.errors import ConfigError
from mediagate.gate import MediaGate
from mediagate.jobs import adopt, what_to_do


async def sweep(gate: MediaGate, *, dry_run: bool, really: int | None) -> AsyncIterator[str]:
    """Run the janitor once in an open gate; raises ``ConfigError`` if it refuses to remove files."""
    janitor = gate.runtime.janitor
    if dry_run:
        await janitor.stop()  # its own rounds would remove files
    else:
        jobs = await janitor.sweep_jobs()
        yield f"jobs: {len(jobs.failed)} failed for good, {len(jobs.finished)} finished"
        yield f"batches: {len(jobs.batches)} reported, {await gate.parts.records.batches.forget()} without jobs removed"
        yield f"spool: removed {(await janitor.sweep_spool()).spooled} files"
    verb = "would remove" if dry_run else "removed"
    expired = await janitor.sweep_expired(dry_run=dry_run)
    for name in [*expired.expired_media, *expired.expired_uploads]:
        yield f"{verb} {name}"
    for job_id in expired.expired_outputs:
        yield f"{verb} the outputs of {job_id}"
    media, outputs, uploads = map(len, (expired.expired_media, expired.expired_outputs, expired.expired_uploads))
    yield f"expired: {verb} {media} media, the outputs of {outputs} pipelines, {uploads} direct uploads"
    left = 1
    while left:
        files = await janitor.sweep_files(dry_run=dry_run, really=really)
        for key in [*files.staging, *files.orphans]:
            yield f"{verb} {key}"
        yield f"files: {verb} {len(files.staging)} quarantined, {len(files.orphans)} orphans"
        if dry_run and files.left:
            yield f"files: {files.left:,} more"
        if files.doubt is not None:
            doubt = f"{files.doubt}. {what_to_do(files.useless)}"
            if not dry_run:
                raise ConfigError(f"refusing to remove files: {doubt}")
            yield f"files: would refuse to remove any: {doubt}"
        left = 0 if dry_run else files.left


async def adopted(gate: MediaGate) -> str:
    """Assign the files of a closed gate to its database and return a summary."""
    async with gate.assembled() as parts:
        await parts.records.open()
        try:
            before = await adopt(parts)
            here = await parts.records.identity()
        finally:
            await parts.records.close()
    if before is None:
        owner = "not assigned before"
    else:
        owner = "already assigned to it" if before.database == here.id else f"assigned to {before.database} before"
    return f"the files in the storage are assigned to this database ({here.id}); they were {owner}"
