"""How many jobs a caller has at once: numbered slots, which are free again when the job in them has ended.

The jobs' own rows say so: nothing needs to be given back when a job ends, and no death of a worker can keep a slot.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mediagate.records import Database

RECEIVING_S = 60.0
"""How long a slot stays taken for an upload whose process died while it received the body; a live one renews it."""
SETTLING_S = 60
"""A job younger than this may not be seen by a statement that began before it; its slot counts as taken."""
TRIES = 20

_JOB = "SELECT 1 FROM mediagate_job j WHERE j.id = {slot}.\"jobId\" AND j.status {is} IN ('PENDING', 'PROCESSING')"
_FREE = (
    '({slot}."until" <= {now} AND NOT EXISTS ('
    + _JOB.replace("{is} ", "")
    + ") OR EXISTS ("
    + _JOB.replace("{is}", "NOT")
    + "))"
)
TAKE = (
    """
INSERT INTO mediagate_rate_slot AS s (caller, number, token, "jobId", "until")
SELECT CAST(? AS TEXT), n.i, CAST(? AS TEXT), NULL, {now} + CAST(? AS BIGINT)
FROM (
    WITH RECURSIVE upto(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM upto WHERE i + 1 < CAST(? AS INTEGER))
    SELECT i FROM upto
) AS n
WHERE NOT EXISTS (SELECT 1 FROM mediagate_rate_slot t WHERE t.caller = ? AND t.number = n.i AND NOT """
    + _FREE.replace("{slot}", "t")
    + """)
ORDER BY random() LIMIT 1
ON CONFLICT (caller, number) DO UPDATE SET token = excluded.token, "jobId" = NULL, "until" = excluded."until"
WHERE """
    + _FREE.replace("{slot}", "s")
    + """
RETURNING number
"""
)
TAKEN = (
    "SELECT count(*) AS taken FROM mediagate_rate_slot s WHERE caller = ? AND number < CAST(? AS INTEGER) AND NOT "
    + _FREE.replace("{slot}", "s")
)
RENEW = """
UPDATE mediagate_rate_slot SET "until" = {now} + CAST(? AS BIGINT) WHERE "jobId" IS NULL AND token IN ({tokens})
"""
BIND = """
UPDATE mediagate_rate_slot SET "jobId" = ?, "until" = {now} + CAST(? AS BIGINT) WHERE token = ? RETURNING caller
"""
RELEASE = "DELETE FROM mediagate_rate_slot WHERE token = ?"
CLEAN = "DELETE FROM mediagate_rate_slot AS s WHERE " + _FREE.replace("{slot}", "s")


class Slots:
    """Slots in the records' database, where the jobs are. Methods raise ``RecordsUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, caller: str, token: str, *, of: int) -> bool:
        """Take one of the caller's ``of`` slots in the name of a token; ``False`` when none is free."""
        for _ in range(TRIES):
            if await self._database.fetch_rows(TAKE, caller, token, round(RECEIVING_S * 1000), of, caller):
                return True
            # No slot was free, or somebody else took the same one in this moment.
            taken = await self._database.fetch_rows(TAKEN, caller, of)
            if int(taken[0]["taken"]) >= of:
                return False
        return False

    async def renew(self, tokens: Collection[str]) -> None:
        """Keep what these tokens took for their uploads, which are still being received."""
        if tokens:
            statement = RENEW.replace("{tokens}", ", ".join("?" * len(tokens)))
            await self._database.change_rows(statement, round(RECEIVING_S * 1000), *tokens)

    async def bind(self, token: str, job_id: str, places: Mapping[str, int]) -> bool:
        """Put the job into the slots that a token took; they are free again when it has ended.

        ``places`` are the callers whose slots these are, and of how many. One that lapsed, because it could not be
        renewed in time, is taken again; ``False`` when the caller has none that is free.
        """
        lost = places.keys() - await self._bind(token, job_id)
        for caller in lost:
            await self.take(caller, token, of=places[caller])
        return not lost or lost <= await self._bind(token, job_id)

    async def _bind(self, token: str, job_id: str) -> set[str]:
        rows = await self._database.fetch_rows(BIND, job_id, SETTLING_S * 1000, token)
        return {row["caller"] for row in rows}

    async def release(self, token: str) -> None:
        """Give back what a token took."""
        await self._database.change_rows(RELEASE, token)

    async def clean(self) -> int:
        """Remove the slots that are free; returns how many."""
        return await self._database.change_rows(CLEAN)
