"""The identity of the database, which the storage's files are marked with."""

from __future__ import annotations

from typing import Any

from mediagate.records.database import Database
from mediagate.records.protocol import Identity
from mediagate.values import new_id

NAME = "database"
READ = "SELECT id, generation FROM mediagate_identity WHERE name = ?"
MAKE = "INSERT INTO mediagate_identity (name, id, generation) VALUES (?, ?, 0) ON CONFLICT (name) DO NOTHING"
COUNT = """
UPDATE mediagate_identity
SET generation = 1 + CASE WHEN generation > CAST(? AS BIGINT) THEN generation ELSE CAST(? AS BIGINT) END
WHERE name = ? RETURNING id, generation
"""


async def read_identity(database: Database) -> Identity:
    """Return the identity of this database; the first call generates its id."""
    rows = await database.fetch_rows(READ, NAME)
    if not rows:
        await database.change_rows(MAKE, NAME, new_id("db"))
        rows = await database.fetch_rows(READ, NAME)
    return _identity_of(rows[0])


async def next_generation(database: Database, above: int) -> Identity:
    """Increment the generation, to more than ``above``."""
    await read_identity(database)
    (row,) = await database.fetch_rows(COUNT, above, above, NAME)
    return _identity_of(row)


def _identity_of(row: dict[str, Any]) -> Identity:
    return Identity(str(row["id"]), int(row["generation"]))
