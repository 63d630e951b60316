"""Counters as rows of the records' database."""

from __future__ import annotations

from collections.abc import Sequence

from mediagate.records import Database
from mediagate_plugins.rate_limit.counters import Charge, Charged, Correction, Count

CHARGE = """
WITH asked(id, amount, allowed, span) AS (VALUES {rows}),
held AS (
    SELECT id, used, "resetsAt" FROM mediagate_rate_counter WHERE id IN (SELECT id FROM asked) ORDER BY id {lock}
),
unfit AS (
    SELECT 1 FROM asked JOIN held ON held.id = asked.id
    WHERE held."resetsAt" > {now} AND held.used + asked.amount > asked.allowed
)
INSERT INTO mediagate_rate_counter AS c (id, used, allowed, "resetsAt")
SELECT id, amount, allowed, {now} + span FROM asked WHERE NOT EXISTS (SELECT 1 FROM unfit) ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    used = excluded.used + CASE WHEN c."resetsAt" > {now} THEN c.used ELSE 0 END,
    allowed = excluded.allowed,
    "resetsAt" = CASE WHEN c."resetsAt" > {now} THEN c."resetsAt" ELSE excluded."resetsAt" END
WHERE c."resetsAt" <= {now} OR c.used + excluded.used <= excluded.allowed
RETURNING id, used, "resetsAt" AS ends, "resetsAt" - {now} AS remaining
"""
"""Locks the counters in a fixed order, checks whether all charges fit, and counts them.

A new counter cannot be locked; for it the last condition checks the charges that others counted concurrently.
"""
ROW = "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))"
STAND = """
SELECT id, used, "resetsAt" AS ends, "resetsAt" - {now} AS remaining FROM mediagate_rate_counter WHERE id IN ({ids})
"""
CORRECT = """
UPDATE mediagate_rate_counter SET used = CASE WHEN used + CAST(? AS BIGINT) > 0 THEN used + CAST(? AS BIGINT) ELSE 0 END
WHERE id = ? AND "resetsAt" = CAST(? AS BIGINT)
"""
DELETE = "DELETE FROM mediagate_rate_counter WHERE id IN ({ids})"
CLEAN = 'DELETE FROM mediagate_rate_counter WHERE "resetsAt" <= {now}'


class DatabaseCounters:
    """Counters in SQLite or PostgreSQL: one statement counts all charges of a request, or none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def charge(self, charges: Sequence[Charge]) -> Charged:
        """Count all charges or none."""
        values = [v for c in charges for v in (c.id, c.amount, c.rule.limit.amount, c.rule.limit.window_s * 1000)]
        statement = CHARGE.replace("{rows}", ", ".join([ROW] * len(charges)))
        while True:
            counts = await self._rows(statement, *values)
            if len(counts) == len(charges):
                return Charged(counts)
            await self.correct(
                [Correction(c.id, counts[c.id].ends_at_ms, -c.amount) for c in charges if c.id in counts]
            )
            counts = await self._rows(STAND.replace("{ids}", ", ".join("?" * len(charges))), *(c.id for c in charges))
            # Empty if a window has ended or a charge was refunded since.
            refused = frozenset(c.id for c in charges if _full(counts.get(c.id), c))
            if refused:
                return Charged(counts, refused)

    async def correct(self, corrections: Sequence[Correction]) -> None:
        """Adjust earlier charges to their actual amounts."""
        for one in corrections:
            await self._database.change_rows(CORRECT, one.amount, one.amount, one.id, one.ends_at_ms)

    async def delete(self, ids: Sequence[str]) -> int:
        """Delete these counters."""
        return await self._database.change_rows(DELETE.replace("{ids}", ", ".join("?" * len(ids))), *ids)

    async def clean(self) -> int:
        """Remove the expired counters."""
        return await self._database.change_rows(CLEAN)

    async def close(self) -> None:
        """Do nothing: the database belongs to the records."""

    async def _rows(self, statement: str, *values: object) -> dict[str, Count]:
        rows = await self._database.fetch_rows(statement, *values)
        return {row["id"]: Count(int(row["used"]), max(0, int(row["remaining"])), int(row["ends"])) for row in rows}


def _full(count: Count | None, charge: Charge) -> bool:
    return count is not None and count.left_ms > 0 and count.used + charge.amount > charge.rule.limit.amount
