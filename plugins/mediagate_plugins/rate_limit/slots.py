"""The concurrent jobs of a caller: numbered slots, each free again when its job has ended.

The status in the job's row frees the slot: nothing has to be released when a job ends, and a worker's crash cannot
keep a slot taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mediagate.records import Database

RECEIVING_S = 60.0
"""How long a slot stays taken for an upload whose process died while receiving; a live process renews it."""
SETTLING_S = 60
"""Age in seconds below which a job's slot counts as taken: a statement that began earlier may not see the job."""
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
DELETE = "DELETE FROM mediagate_rate_slot WHERE caller IN ({callers})"
CLEAN = "DELETE FROM mediagate_rate_slot AS s WHERE " + _FREE.replace("{slot}", "s")


class Slots:
    """Slots in the records' database, next to the jobs. Methods raise ``RecordsUnavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, caller: str, token: str, *, of: int) -> bool:
        """Take one of the caller's ``of`` slots for a token; ``False`` when none is free."""
        for _ in range(TRIES):
            if await self._database.fetch_rows(TAKE, caller, token, round(RECEIVING_S * 1000), of, caller):
                return True
            # No slot was free, or another request took the same one concurrently.
            taken = await self._database.fetch_rows(TAKEN, caller, of)
            if int(taken[0]["taken"]) >= of:
                return False
        return False

    async def renew(self, tokens: Collection[str]) -> None:
        """Renew the slots of these tokens, whose uploads are still being received."""
        if tokens:
            statement = RENEW.replace("{tokens}", ", ".join("?" * len(tokens)))
            await self._database.change_rows(statement, round(RECEIVING_S * 1000), *tokens)

    async def bind(self, token: str, job_id: str, places: Mapping[str, int]) -> bool:
        """Bind the slots of a token to a job, until the job ends.

        ``places`` maps the callers of these slots to their number of slots. A slot that expired because it was not
        renewed in time is taken again; returns ``False`` when the caller has no free slot.
        """
        lost = places.keys() - await self._bind(token, job_id)
        for caller in lost:
            await self.take(caller, token, of=places[caller])
        return not lost or lost <= await self._bind(token, job_id)

    async def _bind(self, token: str, job_id: str) -> set[str]:
        rows = await self._database.fetch_rows(BIND, job_id, SETTLING_S * 1000, token)
        return {row["caller"] for row in rows}

    async def release(self, token: str) -> None:
        """Release the slots of a token."""
        await self._database.change_rows(RELEASE, token)

    async def delete(self, callers: Sequence[str]) -> int:
        """Delete all slots of these callers; return their number."""
        return await self._database.change_rows(DELETE.replace("{callers}", ", ".join("?" * len(callers))), *callers)

    async def clean(self) -> int:
        """Remove the free slots; return their number."""
        return await self._database.change_rows(CLEAN)
