"""Errors about an invalid or unreachable database URL name the setting and never the password."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest

from mediagate.errors import ConfigError, RecordsUnavailable
from mediagate.records import PrismaRecords
from mediagate.records.address import place_of, with_absolute_paths
from mediagate.records.migration import migrate, pending

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("url", ["mysql://u:hush@db/x", "sqlite:///x.db", "postgres", "/var/lib/x.db", ""])
async def test_database_url_of_another_kind_is_rejected(url: str) -> None:
    said = "MEDIAGATE_DATABASE_URL: .*must start with file: or postgresql://"
    for ask in (migrate, pending):
        with pytest.raises(ConfigError, match=said):
            await ask(url)
    with pytest.raises(ConfigError, match=said) as caught:
        PrismaRecords(url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "password", ["hu/sh", "hu@sh", "h@u/sh", "hu#sh", "hu?sh", "/hush", "hush@", "12/hush", "12?hush"]
)
async def test_unencoded_password_is_rejected_and_not_printed(password: str) -> None:
    url = f"postgresql://u:{password}@127.0.0.1:1/x"
    for refused in (lambda: PrismaRecords(url), lambda: place_of(url)):
        with pytest.raises(ConfigError, match=r"%2F.*%40") as caught:
            refused()
        assert "sh" not in str(caught.value).replace("host", "")
        assert caught.value.__cause__ is None
    with pytest.raises(ConfigError, match=r"%2F.*%40"):
        await migrate(url)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("file:/srv/x.db?mode=rw", "the SQLite file /srv/x.db"),
        ("postgresql://u:hu%2Fsh%40@db.internal/x", "PostgreSQL at db.internal:5432"),
        ("postgres://db:6432/x?sslmode=require", "PostgreSQL at db:6432"),
        ("postgresql://u@[::1]:5433/x", "PostgreSQL at [::1]:5433"),
        ("postgresql://u@/x?host=/run/postgresql", "PostgreSQL on a socket in /run/postgresql"),
    ],
)
def test_place_of_names_the_file_host_or_socket(url: str, place: str) -> None:
    assert place_of(url) == place
    PrismaRecords(url)


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("file:a/x.db?mode=rw", "file:{cwd}/a/x.db?mode=rw"),
        ("file:/srv/x.db", "file:/srv/x.db"),
        ("postgresql://u:p%40@db/x?sslmode=require", "postgresql://u:p%40@db/x?sslmode=require"),
        ("postgresql://u@db/x?sslrootcert=ca.pem&sslcert=/k/c.pem",
         "postgresql://u@db/x?sslrootcert={cwd}/ca.pem&sslcert=/k/c.pem"),
    ],
)  # fmt: skip
def test_files_of_a_url_become_absolute(url: str, absolute: str) -> None:
    assert unquote(with_absolute_paths(url)) == unquote(absolute.format(cwd=Path.cwd()))


@pytest.mark.parametrize(
    ("host", "why"),
    [("127.0.0.1:1", "it refuses connections"), ("nowhere.invalid:5432", "its host name cannot be resolved")],
)
@pytest.mark.slow
async def test_unreachable_database_is_reported_with_its_address(host: str, why: str, tmp_path: Path) -> None:
    url = f"postgresql://u:hush@{host}/x"
    said = rf"cannot reach PostgreSQL at {host} \({why}\): .*MEDIAGATE_DATABASE_URL"
    with pytest.raises(RecordsUnavailable, match=said):
        await migrate(url)
    records = PrismaRecords(url)
    await records.open()
    try:
        with pytest.raises(RecordsUnavailable) as caught:
            await records.check()
    finally:
        await records.close()
    assert "hush" not in records.explain(caught.value)
    with pytest.raises(RecordsUnavailable, match=said):
        raise RecordsUnavailable(records.explain(caught.value))
