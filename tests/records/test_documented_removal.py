"""The statement of ``docs/how-to/scale.md`` removes old jobs without media, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg
import pytest

from mediagate import MediaGate, Settings, Source
from mediagate.records import migrate
from tests.support.pages import PAGES
from tests.support.until import until

pytestmark = pytest.mark.anyio

(DELETION,) = re.findall(r"```sql\n(.*?)```", PAGES["docs/how-to/scale.md"], re.S)
OLDER = 'UPDATE mediagate_job SET "notifiedAt" = "notifiedAt" - interval \'31 days\' WHERE id = ANY($1)'


async def all_noted(connection: asyncpg.Connection) -> bool:
    return not await connection.fetchval('SELECT count(*) FROM mediagate_job WHERE "notifiedAt" IS NULL')


async def test_documented_deletion_removes_old_jobs_without_media(
    own_postgres_url: str, tmp_path: Path, photo: bytes
) -> None:
    await migrate(own_postgres_url)
    settings = Settings(data_dir=tmp_path, database_url=own_postgres_url, image_processes=1)
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    connection = await asyncpg.connect(own_postgres_url)
    async with gate:
        kept, old, recent = [
            await gate.upload(photo, source_type="avatar", source_id="u1", owner=name) for name in ("a", "b", "c")
        ]
        for job in (kept, old, recent):
            status = await gate.wait(job.job_id, timeout_s=60)
            assert status.media is not None
            if job is not kept:
                await gate.delete_media(status.media.id)
        try:
            await until(lambda: all_noted(connection), 60)
            await connection.execute(OLDER, [kept.job_id, old.job_id])
            assert await connection.execute(DELETION) == "DELETE 1"
            assert await connection.execute(DELETION) == "DELETE 0"
            left = {row["id"] for row in await connection.fetch("SELECT id FROM mediagate_job")}
        finally:
            await connection.close()
    assert left == {kept.job_id, recent.job_id}
