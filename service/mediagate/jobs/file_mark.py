"""Whether the files in a storage belong to the database, by the mark of the storage."""

from __future__ import annotations

import logging

from mediagate.errors import ConfigError, Unavailable
from mediagate.parts import Parts
from mediagate.storage import Mark, ObjectInfo, read_mark, write_mark
from mediagate.values import MEDIA, JobStatus, media_id_of

log = logging.getLogger("mediagate.identity")

FEW = 5
"""Up to this many files without a row are attributed to crashes, in a storage of any size."""
FIRST = 200
"""How many published files of a storage without a mark are checked."""
ADOPT = "`mediagate adopt` assigns them to this database"
PAGE = 'the page "Back up and restore" of the documentation'


async def is_set_back(parts: Parts) -> bool:
    """Whether the database is older than its files: after a restore from a backup, rows are missing.

    Raises ``ConfigError`` if the mark names another database, or if there is no mark and this database has none of the
    files on record.
    """
    # The mark first: a new generation is counted in the database before it is written to the mark.
    mark, here = await _read_mark(parts), await parts.records.identity()
    if mark is None:
        await _check_unmarked(parts)
        return False
    if mark.database != here.id:
        raise ConfigError(
            f"the storage holds the files of another database ({mark.database}; this one is {here.id}): check the "
            f"database's URL and the bucket or folder. After an intended move, {ADOPT} ({PAGE})"
        )
    return mark.generation > here.generation


async def mark_files(parts: Parts) -> None:
    """Increment the generation and write the mark, so that an older copy of the database can be recognized later.

    A restored database leaves the mark unchanged. Raises ``ConfigError`` as ``is_set_back`` does.
    """
    if await is_set_back(parts):
        log.error(
            "the database is older than the storage, as after a restore: no files are removed. Run `mediagate janitor "
            "--really` with their number, or `mediagate adopt` (%s)",
            PAGE,
        )
        return
    await _write(parts)


async def recognize_files(parts: Parts) -> None:
    """Mark the files when a gate opens; raises ``ConfigError`` when they belong to another database.

    An unavailable storage or database does not keep the gate from opening: the janitor checks again before it removes
    anything.
    """
    try:
        await mark_files(parts)
    except Unavailable as exc:
        log.warning("could not check that the files belong to this database: %s", exc)


async def adopt(parts: Parts) -> Mark | None:
    """Assign the files to this database, whatever their mark says; returns the previous mark."""
    try:
        before = await read_mark(parts.storage)
    except ConfigError:
        before = None
    await _write(parts, above=before.generation if before is not None else 0)
    return before


async def describe(parts: Parts) -> str:
    """Return a line for ``mediagate doctor``; raises ``ConfigError`` with what to do."""
    if await is_set_back(parts):
        raise ConfigError(
            "the database is older than the storage, as after a restore: no files are removed. `mediagate janitor "
            f"--dry-run` lists the files without a record, `mediagate adopt` continues without them ({PAGE})"
        )
    return "the files belong to this database"


async def check_no_files(parts: Parts) -> None:
    """Raise ``ConfigError`` if the storage has files while the database is empty."""
    if (mark := await _read_mark(parts)) is not None:
        whose = mark.database
    elif await _are_more_than_few(parts):
        whose = "its name is unknown"
    else:
        return
    raise ConfigError(
        f"the storage holds the files of another database ({whose}; this one is empty): check the database's URL and "
        f"the bucket or folder. After an intended move, migrate and {ADOPT} ({PAGE})"
    )


async def _read_mark(parts: Parts) -> Mark | None:
    try:
        return await read_mark(parts.storage)
    except ConfigError as exc:
        raise ConfigError(f"{exc.detail}; {ADOPT}") from None


async def _are_more_than_few(parts: Parts) -> bool:
    count = 0
    async for _ in parts.storage.list(MEDIA):
        count += 1
        if count > FEW:
            return True
    return False


async def _write(parts: Parts, *, above: int = 0) -> None:
    here = await parts.records.next_generation(above=above)
    await write_mark(parts.storage, Mark(here.id, here.generation))


async def _check_unmarked(parts: Parts) -> None:
    seen: list[ObjectInfo] = []
    objects = parts.storage.list(MEDIA)
    async for info in objects:
        seen.append(info)
        if len(seen) == FIRST:
            break
    if len(seen) > FEW and not await _known(parts, {media_id_of(info.key) for info in seen}):
        raise ConfigError(
            f"the storage holds files, and none of the first {len(seen)} is on record in this database: check the "
            "database's URL and the bucket or folder. If the files may be removed, or after an intended move, "
            f"{ADOPT} ({PAGE})"
        )


async def _known(parts: Parts, media_ids: set[str]) -> bool:
    jobs = await parts.records.jobs_of_media(media_ids)
    return any(status is JobStatus.COMPLETE or named for status, named in jobs.values())
