"""Migrations that a release has shipped stay as they are; later ones only add, so that this release keeps running."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from mediagate.records.migration import MIGRATIONS

FOLDER = "mediagate/records/migrations/"
COLUMN = r'ADD COLUMN\s+"\w+" [A-Z]+(\(\d+\))?( NOT NULL DEFAULT (\'[^\']*\'|-?[\d.]+|true|false))?'
"""Nullable or with a constant default: PostgreSQL adds such a column without rewriting the table."""
ADDITIONS = (
    r'CREATE TABLE "mediagate_\w+" \(.*\)',
    r'CREATE INDEX "\w+" ON "\w+"\s?\(.*\)( WHERE .*)?',
    rf'ALTER TABLE "\w+" {COLUMN}(,\s*{COLUMN})*',
    r'ALTER TABLE "\w+" SET \(.*\)',
    r'DROP INDEX "\w+_idx"',
)
"""An index may be replaced; a unique one (``_key``) is part of what an earlier release relies on."""


def statements(sql: str) -> Iterator[str]:
    """Yield the statements of a migration without comments."""
    for statement in re.sub(r"^--.*$", "", sql, flags=re.M).split(";"):
        if text := statement.strip():
            yield text


def changes(sql: str) -> list[str]:
    """Return the statements of a migration that change what an earlier release knows."""
    made = "|".join(re.findall(r'^CREATE TABLE "(\w+)"', sql, re.M)) or "none"
    of_new_tables = (rf'ALTER TABLE "({made})" .*', rf'CREATE UNIQUE INDEX "\w+" ON "({made})".*')
    allowed = (*ADDITIONS, *of_new_tables)
    return [each for each in statements(sql) if not any(re.fullmatch(pattern, each, re.S) for pattern in allowed)]


def released(wheel: Path) -> dict[str, bytes]:
    """Return the migrations in a wheel, by their path below the folder of migrations."""
    with ZipFile(wheel) as file:
        names = [name for name in file.namelist() if name.startswith(FOLDER) and name.endswith(".sql")]
        return {name.removeprefix(FOLDER): file.read(name) for name in names}


def test_released_migrations_are_unchanged(release_wheel: Path) -> None:
    shipped = released(release_wheel)
    assert len(shipped) > 15
    assert {name: (MIGRATIONS / name).read_bytes() for name in shipped} == shipped


def test_migrations_after_the_release_only_add(release_wheel: Path) -> None:
    shipped = released(release_wheel)
    later = [path for path in MIGRATIONS.rglob("*.sql") if path.relative_to(MIGRATIONS).as_posix() not in shipped]
    assert {path.parent.name: found for path in later if (found := changes(path.read_text()))} == {}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", ["direct_uploads_and_expiry", "webhooks", "rate_limit", "turns", "thumbhash"])
def test_additions_are_recognized(kind: str, name: str) -> None:
    (path,) = (MIGRATIONS / kind).glob(f"*_{name}/migration.sql")
    assert changes(path.read_text()) == []


@pytest.mark.parametrize(
    "statement",
    [
        'ALTER TABLE "mediagate_job" DROP COLUMN "code"',
        'ALTER TABLE "mediagate_job" RENAME COLUMN "code" TO "reason"',
        'ALTER TABLE "mediagate_job" ADD COLUMN "next" TEXT NOT NULL',
        'ALTER TABLE "mediagate_job" ADD COLUMN "next" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP',
        'ALTER TABLE "mediagate_job" ADD COLUMN "next" TEXT, ALTER COLUMN "code" SET NOT NULL',
        'ALTER TABLE "mediagate_job" ADD CONSTRAINT "positive" CHECK ("bytes" > 0)',
        'CREATE UNIQUE INDEX "mediagate_job_code_key" ON "mediagate_job"("code")',
        'DROP INDEX "mediagate_media_jobId_key"',
        'DROP TABLE "mediagate_turn"',
        'UPDATE "mediagate_job" SET "day" = \'\'',
    ],
)
def test_changes_of_what_a_release_knows_are_recognized(statement: str) -> None:
    addition = 'CREATE TABLE "mediagate_next" ("id" TEXT NOT NULL PRIMARY KEY)'
    assert changes(f"-- CreateTable\n{addition};\n\n{statement};\n") == [statement]
