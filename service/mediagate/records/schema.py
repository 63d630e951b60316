"""Checking that the database has the schema of this release, over the records' own connection."""

from __future__ import annotations

from mediagate.errors import RecordsRefused, SchemaOutdated
from mediagate.records.client_patches import Prisma
from mediagate.records.migration import migration_names
from mediagate.records.queries import execute
from mediagate.records.refusals import MIGRATE

APPLIED = "SELECT migration_name FROM {table} WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"


async def check_schema(client: Prisma, postgres_schema: str | None) -> None:
    """Raise ``SchemaOutdated`` when migrations of this release are missing; those of later releases do no harm."""
    provider, table = "sqlite", '"_prisma_migrations"'
    if postgres_schema is not None:
        provider, table = "postgresql", '"{}".{}'.format(postgres_schema.replace('"', '""'), table)
    try:
        rows = await execute(lambda: client.query_raw(APPLIED.format(table=table)))
    except RecordsRefused:
        return  # a user may have access to the tables but not to this list; a missing table then fails on use
    applied = {row["migration_name"] for row in rows}
    lacking = [name for name in migration_names(provider) if name not in applied]
    if lacking:
        raise SchemaOutdated(lacks(lacking))


def lacks(names: list[str]) -> str:
    """Return the message that names the missing migrations and the command to run."""
    number = "1 migration" if len(names) == 1 else f"{len(names)} migrations"
    which = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return f"the database's schema lacks {number} ({which}): {MIGRATE}"
