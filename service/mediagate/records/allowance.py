"""An allowance that all processes of a service share: a maximum amount within a period."""

from __future__ import annotations

from datetime import timedelta

from mediagate.records.protocol import Records

_TAKE = """
INSERT INTO mediagate_rate_counter AS c (id, used, allowed, "resetsAt")
SELECT CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT), {now} + CAST(? AS BIGINT)
WHERE CAST(? AS BIGINT) <= CAST(? AS BIGINT)
ON CONFLICT (id) DO UPDATE SET used = c.used + excluded.used, allowed = excluded.allowed
WHERE c.used + excluded.used <= excluded.allowed
RETURNING used
"""
_CLEAN = 'DELETE FROM mediagate_rate_counter WHERE "resetsAt" <= {now}'


class Allowance:
    """Counts in the records' database; for records without one, in this process."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._used: dict[str, int] = {}

    async def take(self, name: str, amount: int, most: int, *, lasts: timedelta) -> bool:
        """Take ``amount`` of the allowance ``most`` under a name; ``False``, taking nothing, if less is left.

        The count is retained for ``lasts`` from the first call on. Raises ``RecordsUnavailable``.
        """
        from mediagate.records.database import Database
        from mediagate.records.prisma import PrismaRecords  # lazily: most gates have no remote moderator

        if not isinstance(self._records, PrismaRecords):
            used = self._used.get(name, 0) + amount
            if used > most:
                return False
            self._used = {name: used}
            return True
        database = Database(self._records)
        lasts_ms = int(lasts.total_seconds() * 1000)
        taken = await database.fetch_rows(_TAKE, name, amount, most, lasts_ms, amount, most)
        if taken and int(taken[0]["used"]) == amount:  # a new count: delete expired ones
            await database.change_rows(_CLEAN)
        return bool(taken)
