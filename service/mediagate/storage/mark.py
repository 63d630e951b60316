"""The mark of a storage: an object in it that names the database that its files belong to."""

from __future__ import annotations

import json
from dataclasses import dataclass

from mediagate.errors import ConfigError, ObjectNotFound
from mediagate.storage.protocol import Storage

MARK_KEY = "mediagate/database.json"
MAX_ID = 200
"""Characters of a database's id."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The id and the generation of a database when it last marked its files."""

    database: str
    generation: int


async def read_mark(storage: Storage) -> Mark | None:
    """Return the mark of a storage, if it has one; raises ``ConfigError`` for a malformed mark."""
    try:
        written = await storage.get(MARK_KEY)
    except ObjectNotFound:
        return None
    try:
        return _mark(json.loads(written))
    except (ValueError, RecursionError):
        raise ConfigError(
            f"the storage's {MARK_KEY} is malformed: find out which database the files belong to"
        ) from None


async def write_mark(storage: Storage, mark: Mark) -> None:
    """Replace the mark of a storage."""
    await storage.put(MARK_KEY, json.dumps({"database": mark.database, "generation": mark.generation}).encode())


def _mark(written: object) -> Mark:
    match written:
        case {"database": str(database), "generation": int(generation), **rest}:
            known = database.isprintable() and len(database) <= MAX_ID
            if known and type(generation) is int and 0 <= generation < 2**63 and not rest:
                return Mark(database, generation)
    raise ValueError
