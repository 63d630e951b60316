"""The objects of two storages, listed beside each other in a temporary file: there may be millions, in any order."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, NamedTuple, Self

from mediagate.storage import ObjectInfo, Storage, streaming
from mediagate.values import SERVED, STAGING

PREFIXES = (STAGING, *SERVED)
"""The files of a gate, apart from the mark."""
BATCH = 1000

Side = Literal["source", "target"]

_TABLE = "CREATE TABLE {} (key TEXT PRIMARY KEY, size INTEGER, modified REAL, version TEXT) WITHOUT ROWID"
_FIRST = f"substr(s.key, 1, {len(STAGING)}) != '{STAGING}'"


@dataclass(frozen=True, slots=True)
class Pair:
    """An object of the source, and the object of the target under the same key, if there is one."""

    source: ObjectInfo
    target: ObjectInfo | None


class Published(NamedTuple):
    """The numbers of published files in the source, in the target, and in both."""

    source: int
    target: int
    common: int


class Inventory:
    """The listings of two storages; ``async for … in fill(…)`` takes one, the other methods compare them."""

    def __init__(self) -> None:
        # SQLite removes the file of an unnamed database while it is open, so that a killed process leaves none.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        for side in ("source", "target"):
            self._database.execute(_TABLE.format(side))

    async def fill(self, side: Side, storage: Storage) -> AsyncIterator[int]:
        """List a storage and yield the number of objects so far; raises ``StorageUnavailable``."""
        count, batch = 0, []
        for prefix in PREFIXES:
            async with streaming(storage.list(prefix)) as objects:
                async for info in objects:
                    batch.append((info.key, info.size, info.modified.timestamp(), info.version))
                    if len(batch) == BATCH:
                        count += self._add(side, batch)
                        batch = []
                        yield count
        yield count + self._add(side, batch)

    def _add(self, side: Side, batch: list[tuple[str, int, float, str]]) -> int:
        # The same key comes twice if an object is replaced while a bucket is listed.
        self._database.executemany(f"INSERT OR REPLACE INTO {side} VALUES (?, ?, ?, ?)", batch)
        return len(batch)

    def totals(self) -> tuple[int, int]:
        """Return the number of the source's objects and their bytes."""
        files, size = self._database.execute("SELECT count(*), coalesce(sum(size), 0) FROM source").fetchone()
        return files, size

    def pairs(self) -> Iterator[Pair]:
        """Iterate over the source's objects; those in quarantine first, since they are soon deleted."""
        query = f"SELECT s.*, t.* FROM source s LEFT JOIN target t ON t.key = s.key ORDER BY {_FIRST}, s.key"
        for row in self._database.execute(query):
            yield Pair(_info(row[:4]), _info((row[0], *row[5:])) if row[5] is not None else None)

    def published(self) -> Published:
        """Return the numbers of published files."""
        both = "target t LEFT JOIN source s ON s.key = t.key"
        target, common = self._database.execute(
            f"SELECT count(*), count(s.key) FROM {both} WHERE {_published('t')}"
        ).fetchone()
        (source,) = self._database.execute(f"SELECT count(*) FROM source s WHERE {_published('s')}").fetchone()
        return Published(source, target, common)

    def extra(self) -> Iterator[str]:
        """Iterate over the keys of the target that the source lacks."""
        query = "SELECT key FROM target WHERE key NOT IN (SELECT key FROM source) ORDER BY key"
        for (key,) in self._database.execute(query):
            yield key

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()


def _info(row: tuple[str, int, float, str]) -> ObjectInfo:
    key, size, modified, version = row
    return ObjectInfo(key, size, datetime.fromtimestamp(modified, UTC), version)


def _published(table: str) -> str:
    return " OR ".join(f"substr({table}.key, 1, {len(prefix)}) = '{prefix}'" for prefix in SERVED)
