"""The mark of a storage: an object in it that names the database that its files belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediagate.errors import ConfigError, ObjectNotFound
from mediagate.storage.prefixes import DEFAULT, check_written, prefixes_of
from mediagate.storage.protocol import Storage
from mediagate.values import KeyPrefixes

MARK_KEY = "mediagate/database.json"
MAX_ID = 200
"""Characters of a database's id."""


PREFIXES = "prefixes"
"""Only in the mark of a storage with other key prefixes than the default: release 0.1.0 refuses such a mark."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The id and the generation of a database when it last marked its files."""

    database: str
    generation: int


async def read_mark(storage: Storage) -> Mark | None:
    """Return the mark of a storage, if it has one.

    Raises ``ConfigError`` for a malformed mark, and if it names other key prefixes than the storage uses.
    """
    try:
        written = await storage.get(MARK_KEY)
    except ObjectNotFound:
        return None
    try:
        mark, prefixes = _mark(json.loads(written))
    except (ValueError, RecursionError):
        raise ConfigError(
            f"the storage's {MARK_KEY} is malformed: find out which database the files belong to"
        ) from None
    check_written(storage, prefixes)
    return mark


async def write_mark(storage: Storage, mark: Mark) -> None:
    """Replace the mark of a storage, with the key prefixes that it uses."""
    prefixes = prefixes_of(storage)
    told: dict[str, Any] = {"database": mark.database, "generation": mark.generation}
    if prefixes != DEFAULT:
        told[PREFIXES] = prefixes.to_json()
    await storage.put(MARK_KEY, json.dumps(told).encode())


def _mark(written: object) -> tuple[Mark, KeyPrefixes]:
    match written:
        case {"database": str(database), "generation": int(generation), **rest}:
            known = database.isprintable() and len(database) <= MAX_ID
            if known and type(generation) is int and 0 <= generation < 2**63:
                return Mark(database, generation), _prefixes(rest)
    raise ValueError


def _prefixes(rest: Mapping[object, object]) -> KeyPrefixes:
    match rest:
        case {"prefixes": dict(written), **more} if not more:
            return KeyPrefixes.of(written)
    if rest:
        raise ValueError
    return DEFAULT
