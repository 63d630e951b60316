"""Counters as rows of the records' database."""

from __future__ import annotations

from collections.abc import Sequence

from mediagate_plugins.rate_limit.counters import Charge, Charged, Correction, Count
from mediagate_plugins.rate_limit.sql import Database

CHARGE = """
INSERT INTO mediagate_rate_counter AS c (id, used, allowed, "resetsAt") VALUES {rows}
ON CONFLICT (id) DO UPDATE SET
    used = excluded.used + CASE WHEN c."resetsAt" > {now} THEN c.used ELSE 0 END,
    allowed = excluded.allowed,
    "resetsAt" = CASE WHEN c."resetsAt" > {now} THEN c."resetsAt" ELSE excluded."resetsAt" END
WHERE c."resetsAt" <= {now} OR c.used + excluded.used <= excluded.allowed
RETURNING id, used, "resetsAt" AS ends, "resetsAt" - {now} AS remaining
"""
"""The row's lock makes it one step: what another process counted meanwhile is in ``c``."""
ROW = "(?, CAST(? AS BIGINT), CAST(? AS BIGINT), {now} + CAST(? AS BIGINT))"
STAND = """
SELECT id, used, "resetsAt" AS ends, "resetsAt" - {now} AS remaining FROM mediagate_rate_counter WHERE id IN ({ids})
"""
CORRECT = """
UPDATE mediagate_rate_counter SET used = CASE WHEN used + CAST(? AS BIGINT) > 0 THEN used + CAST(? AS BIGINT) ELSE 0 END
WHERE id = ? AND "resetsAt" = CAST(? AS BIGINT)
"""
CLEAN = 'DELETE FROM mediagate_rate_counter WHERE "resetsAt" <= {now}'


class DatabaseCounters:
    """Counters in SQLite or PostgreSQL: one statement counts all charges of a request."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def charge(self, charges: Sequence[Charge]) -> Charged:
        """Count all charges or none."""
        # Everybody locks rows in the same order, so that nobody waits for each other.
        ordered = sorted(charges, key=lambda charge: charge.id)
        values = [v for c in ordered for v in (c.id, c.amount, c.rule.limit.amount, c.rule.limit.window_s * 1000)]
        rows = await self._database.rows(CHARGE.replace("{rows}", ", ".join([ROW] * len(ordered))), *values)
        counts = {row["id"]: _count(row) for row in rows}
        refused = [charge.id for charge in ordered if charge.id not in counts]
        if not refused:
            return Charged(counts)
        await self.correct([Correction(c.id, counts[c.id].ends_at_ms, -c.amount) for c in ordered if c.id in counts])
        stand = await self._database.rows(STAND.replace("{ids}", ", ".join("?" * len(refused))), *refused)
        return Charged({row["id"]: _count(row) for row in stand}, frozenset(refused))

    async def correct(self, corrections: Sequence[Correction]) -> None:
        """Put right what was charged before its true amount was known."""
        for one in corrections:
            await self._database.change(CORRECT, one.amount, one.amount, one.id, one.ends_at_ms)

    async def clean(self) -> int:
        """Remove the counters whose windows are over."""
        return await self._database.change(CLEAN)

    async def close(self) -> None:
        """Leave the database open: it is the records'."""


def _count(row: dict[str, int]) -> Count:
    return Count(int(row["used"]), max(0, int(row["remaining"])), int(row["ends"]))
