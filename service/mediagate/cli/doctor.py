"""``mediagate doctor``: checks query engine, database, storage, model and codecs, and prints a line for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mediagate.errors import MediagateError, PluginError, RecordsUnavailable, SchemaOutdated
from mediagate.gate import MediaGate
from mediagate.images import ImagePool, codecs
from mediagate.jobs import check_no_files, describe
from mediagate.kernel import Check
from mediagate.moderation import members_of
from mediagate.observe import cause_of
from mediagate.parts import MODERATOR, Parts
from mediagate.records import PrismaRecords, Records, describe_engine


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    part: str
    ok: bool
    text: str


async def examine(gate: MediaGate) -> AsyncIterator[Finding]:
    """Boot the gate's plugins and check each part by using it, independently of the others."""
    try:
        async with gate.assembled() as parts:
            for part, check in _checks(gate, parts).items():
                yield await _finding(part, check)
    except MediagateError as exc:
        yield Finding("gate", False, exc.detail)


def _checks(gate: MediaGate, parts: Parts) -> dict[str, Check]:
    return {
        "query engine": lambda: _query_engine(parts.records),
        "database": lambda: _database(parts),
        "storage": lambda: _storage(parts),
        "model": lambda: _model(gate, parts),
        "codecs": _codecs,
        "image processes": lambda: _image_processes(gate),
        **gate.checks,
    }


async def _finding(part: str, check: Check) -> Finding:
    try:
        return Finding(part, True, await check())
    except MediagateError as exc:
        return Finding(part, False, exc.detail)
    except Exception as exc:
        return Finding(part, False, cause_of(exc))


async def _query_engine(records: Records) -> str:
    if not isinstance(records, PrismaRecords):
        return "none: records come from a plugin"
    return await asyncio.to_thread(describe_engine, records.client)


async def _database(parts: Parts) -> str:
    records = parts.records
    if not isinstance(records, PrismaRecords):
        return await _opened(records)
    migrates, records.migrates = records.migrates, False  # the check must not change the database
    try:
        return await _opened(records)
    except SchemaOutdated as exc:
        if migrates:
            return f"{exc.detail}, or open the gate, which applies them too"
        raise
    except RecordsUnavailable as exc:
        raise RecordsUnavailable(records.explain(exc)) from exc


async def _opened(records: Records) -> str:
    await records.open()
    try:
        return await records.check()
    finally:
        await records.close()


async def _storage(parts: Parts) -> str:
    found = await parts.storage.check()
    try:
        await parts.records.open()
        try:
            return f"{found}; {await describe(parts)}"
        finally:
            await parts.records.close()
    except SchemaOutdated:
        if isinstance(parts.records, PrismaRecords) and await parts.records.is_empty():
            await check_no_files(parts)
            return f"{found}; database and storage are both empty"
        return f"{found}; the owner of the files is unknown until the database is migrated"
    except RecordsUnavailable:
        return f"{found}; the owner of the files is unknown while the database is unavailable"


async def _model(gate: MediaGate, parts: Parts) -> str:
    if gate.settings.moderation == "off":
        return "moderation is off: every decodable picture is published"
    try:
        moderator = gate[MODERATOR]
    except PluginError:
        if parts.remote_moderator is None:
            raise
        return "no local model: a remote service judges every picture"
    await asyncio.to_thread(moderator.prepare)
    names = ", ".join(members_of(moderator))
    return f"{names}: {len(moderator.labels)} labels, groups: {', '.join(moderator.groups) or 'none'}"


async def _image_processes(gate: MediaGate) -> str:
    settings = gate.settings
    pool = ImagePool(
        processes=0,
        memory_bytes=settings.image_memory_bytes,
        timeout_s=settings.image_timeout_s,
        moderator=None,
        private=(settings.data_dir,),
    )
    await pool.open()
    try:
        return str(pool.walls)
    finally:
        await pool.close()


async def _codecs() -> str:
    return await asyncio.to_thread(codecs)
