"""PostgreSQL over TLS, where both sides verify each other, and on a Unix socket."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import asyncpg
import pytest
import trustme

from mediagate.errors import RecordsUnavailable
from mediagate.records import PrismaRecords
from mediagate.records.migration import migrate
from mediagate.testing.record_samples import a_job
from mediagate.values import utcnow
from tests.support.postgres_cluster import Cluster, as_user, cluster

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.usefixtures("each_runtime")]

RULES = """
local all all trust
hostssl all by_certificate 127.0.0.1/32 cert
hostssl all by_password 127.0.0.1/32 scram-sha-256
hostssl all all 127.0.0.1/32 trust
"""
"""Who may connect; over TCP nobody without TLS."""
ROLES = """
CREATE ROLE by_certificate LOGIN SUPERUSER;
CREATE ROLE by_password LOGIN SUPERUSER PASSWORD 'hush';
"""


@pytest.fixture(scope="module")
def keys() -> Iterator[Path]:
    """A folder with certificates of an authority: for servers called localhost and db.example, and for a client."""
    with TemporaryDirectory(prefix="keys-") as temporary:
        folder = Path(temporary)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        trustme.CA().cert_pem.write_to_path(folder / "other.pem")
        issued = {
            "server": authority.issue_cert("localhost"),
            "elsewhere": authority.issue_cert("db.example"),
            "client": authority.issue_cert("client.example", common_name="by_certificate"),
        }
        for name, one in issued.items():
            one.private_key_pem.write_to_path(folder / f"{name}.key")
            one.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
            (folder / f"{name}.key").chmod(0o600)
        (folder / "rules").write_text(RULES)
        if owner := as_user():
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, owner["user"], owner["group"])
        yield folder


@pytest.fixture(scope="module")
def address(keys: Path) -> Iterator[str]:
    """Host, port and name of a database that is reached over TLS, and on a socket in the folder of keys."""
    with _server(keys, "server", unix_socket_directories=str(keys)) as server:
        asyncio.run(_prepare(f"{server.url}?sslmode=require"))
        yield f"localhost:{server.port}/postgres"


@pytest.fixture(scope="module")
def misnamed_address(keys: Path) -> Iterator[str]:
    """The address of a database whose certificate is that of another host."""
    with _server(keys, "elsewhere") as server:
        yield f"localhost:{server.port}/postgres"


def _server(keys: Path, name: str, **options: str) -> AbstractContextManager[Cluster]:
    options |= {
        "ssl": "on",
        "ssl_cert_file": str(keys / f"{name}.pem"),
        "ssl_key_file": str(keys / f"{name}.key"),
        "ssl_ca_file": str(keys / "ca.pem"),
        "hba_file": str(keys / "rules"),
    }
    return cluster(**options)


async def _prepare(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(ROLES)
    finally:
        await connection.close()
    await migrate(url)


async def use(url: str) -> None:
    """Write and read a job; raises what the records raise."""
    records = PrismaRecords(url)
    await records.open()
    try:
        job = a_job(utcnow())
        await records.create_job(job)
        assert set(await records.get_jobs([job.id])) == {job.id}
    finally:
        await records.close()


@pytest.mark.parametrize(
    ("user", "options"),
    [
        ("postgres", {"sslmode": "require", "sslrootcert": "ca.pem"}),
        ("postgres", {"sslmode": "verify-full", "sslrootcert": "ca.pem"}),
        ("by_password:hush", {"sslmode": "verify-full", "sslrootcert": "ca.pem"}),
        (
            "by_certificate",
            {"sslmode": "verify-full", "sslrootcert": "ca.pem", "sslcert": "client.pem", "sslkey": "client.key"},
        ),
    ],
)
async def test_records_are_reached_over_tls(keys: Path, address: str, user: str, options: dict[str, str]) -> None:
    await use(url_of(keys, address, user, options))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "no encryption"),
        ({"sslmode": "verify-full"}, "certificate"),
        ({"sslmode": "verify-full", "sslrootcert": "other.pem"}, "certificate"),
    ],
)
async def test_records_refuse_a_server_that_is_not_verified(
    keys: Path, address: str, options: dict[str, str], why: str
) -> None:
    with pytest.raises(RecordsUnavailable) as caught:
        await use(url_of(keys, address, "postgres", options))
    assert why in str(caught.value.__cause__)


async def test_authority_in_the_environment_verifies_a_server(
    keys: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(keys / "ca.pem"))
    await use(url_of(keys, address, "postgres", {"sslmode": "verify-full"}))


async def test_records_refuse_a_server_of_another_name(keys: Path, misnamed_address: str) -> None:
    options = {"sslmode": "verify-full", "sslrootcert": "ca.pem"}
    with pytest.raises(RecordsUnavailable) as caught:
        await use(url_of(keys, misnamed_address, "postgres", options))
    assert "altnames" in str(caught.value.__cause__)


async def test_client_without_its_certificate_is_refused(keys: Path, address: str) -> None:
    options = {"sslmode": "verify-full", "sslrootcert": "ca.pem"}
    with pytest.raises(RecordsUnavailable) as caught:
        await use(url_of(keys, address, "by_certificate", options))
    assert "certificate" in str(caught.value.__cause__)


@pytest.mark.parametrize("host", ["", "localhost"])
async def test_records_are_reached_on_a_socket(keys: Path, address: str, host: str) -> None:
    _, port = address.removesuffix("/postgres").split(":")
    await use(f"postgresql://postgres@{host}/postgres?host={keys}&port={port}")


def url_of(keys: Path, address: str, user: str, options: dict[str, str]) -> str:
    """Return a URL of the database; files are named within the folder of keys."""
    paths = {name: str(keys / value) if name != "sslmode" else value for name, value in options.items()}
    return f"postgresql://{user}@{address}?{urlencode(paths)}"
