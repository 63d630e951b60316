"""The database's password is replaced by a second role that acts as the owner of the tables.

The statements are those of ``docs/how-to/rotate-secrets.md``.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from mediagate import MediaGate, Settings, Source
from mediagate.errors import RecordsRefused
from mediagate.records import PrismaRecords
from mediagate.records.migration import migrate
from tests.support.pages import PAGES

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECOND_ROLE, END_OF_THE_FIRST = re.findall(r"```sql\n(.*?)```", PAGES["docs/how-to/rotate-secrets.md"], re.S)


class Roles:
    """The database, and its login roles by name."""

    def __init__(self, url: str, connection: asyncpg.Connection) -> None:
        self._url = url
        self._connection = connection
        self.owner = urlsplit(url).path.strip("/") + "_owner"
        self.next = f"{self.owner}_2"

    async def run(self, statements: str) -> None:
        """Run statements as an administrator; roles have the names of the page, which stand for the test's own."""
        names = {"mediagate_2": self.next, "mediagate": self.owner, "database": urlsplit(self._url).path.strip("/")}
        for name, own in names.items():
            statements = re.sub(rf"\b{name}\b", own, statements)
        await self._connection.execute(statements.replace("…", "secret"))

    def url(self, role: str) -> str:
        parts = urlsplit(self._url)
        return urlunsplit(parts._replace(netloc=f"{role}:secret@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture
async def roles(own_postgres_url: str) -> AsyncIterator[Roles]:
    """A database that belongs to a role, which has migrated it, and a second role that acts as the first."""
    connection = await asyncpg.connect(own_postgres_url)
    roles = Roles(own_postgres_url, connection)
    try:
        await roles.run("CREATE ROLE mediagate LOGIN PASSWORD '…'")
        await roles.run("GRANT ALL ON DATABASE database TO mediagate")
        await roles.run("GRANT ALL ON SCHEMA public TO mediagate")
        await migrate(roles.url(roles.owner))
        await roles.run(SECOND_ROLE)
        yield roles
    finally:
        await roles.run("DROP OWNED BY mediagate; DROP ROLE IF EXISTS mediagate_2, mediagate")
        await connection.close()


def gate_of(url: str, folder: Path, *, worker: bool) -> MediaGate:
    settings = Settings(data_dir=folder, database_url=url, worker=worker, image_processes=1)
    return MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")


async def test_processes_of_both_roles_work_on_one_database(roles: Roles, tmp_path: Path, photo: bytes) -> None:
    web = gate_of(roles.url(roles.owner), tmp_path, worker=False)
    worker = gate_of(roles.url(roles.next), tmp_path, worker=True)
    async with web, worker:
        job = await web.upload(photo, source_type="avatar", source_id="user-1")
        assert (await web.wait(job.job_id)).status == "COMPLETE"


async def test_first_role_is_refused_after_the_rotation_and_the_second_is_not(roles: Roles) -> None:
    await roles.run(END_OF_THE_FIRST)
    records = PrismaRecords(roles.url(roles.next))
    await records.open()
    try:
        assert "no pending jobs" in await records.check()
    finally:
        await records.close()
    with pytest.raises(RecordsRefused):
        await migrate(roles.url(roles.owner))


async def test_tables_of_a_later_migration_belong_to_the_owner(
    roles: Roles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = tmp_path / "postgresql" / "20991231000000_second" / "migration.sql"
    added.parent.mkdir(parents=True)
    added.write_text('CREATE TABLE "mediagate_second" ("id" TEXT NOT NULL PRIMARY KEY);\n')
    monkeypatch.setattr("mediagate.records.migration.MIGRATIONS", tmp_path)
    assert await migrate(roles.url(roles.next)) == ["20991231000000_second"]
    connection = await asyncpg.connect(roles.url(roles.owner))
    try:
        owner = await connection.fetchval("SELECT tableowner FROM pg_tables WHERE tablename = 'mediagate_second'")
    finally:
        await connection.close()
    assert owner == roles.owner
