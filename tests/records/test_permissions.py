"""The query engine under Deno reaches its own files and its database, and nothing else."""

from __future__ import annotations

import json
import os
import socket as sockets
from collections.abc import Mapping
from pathlib import Path

import pytest

from mediagate.errors import ConfigError
from mediagate.records import PrismaRecords
from mediagate.records.permissions import Permissions, permissions_for
from mediagate.records.runtime import Runtime
from mediagate.testing.record_samples import a_job
from mediagate.values import utcnow
from tests.support.runtimes import packaged

PROBE = """
const fs = require('node:fs'), net = require('node:net');
const tries = JSON.parse(fs.readFileSync(process.argv[1].replace(/probe.cjs$/, 'tries.json')));
const actions = {
  read: (path) => fs.readFileSync(path),
  write: (path) => fs.writeFileSync(path, 'x'),
  variable: (name) => { if (process.env[name] === undefined) throw new Error('hidden'); },
  run: (program) => { if (require('node:child_process').spawnSync(program).status !== 0) throw new Error('refused'); },
  library: (path) => process.dlopen({ exports: {} }, path),
  connect: (port) => new Promise((resolve, reject) => {
    net.connect(port, '127.0.0.1').on('connect', resolve).on('error', reject);
  }),
};
(async () => {
  const done = [];
  for (const [kind, what] of tries) {
    try { await actions[kind](what); done.push(what); } catch {}
  }
  fs.writeFileSync(tries[0][1], JSON.stringify(done));
  process.exit(0);
})();
"""


def permissions(url: str, folder: Path = Path("/tmp/m"), env: Mapping[str, str] | None = None) -> Permissions:
    """Return the permissions of an engine in a folder that serves a database."""
    schema = Path("/s.prisma")
    return permissions_for(url, program=folder / "probe.cjs", schema=schema, socket=folder / "e", env=env or {})


@pytest.mark.parametrize(
    ("url", "env", "address"),
    [
        ("postgresql://u:p@db.example:6432/x", {}, "db.example:6432"),
        ("postgresql://u:p@db.example/x", {}, "db.example:5432"),
        ("postgresql://u:p@db.example/x", {"PGPORT": "7000", "PGHOST": "other"}, "db.example:7000"),
        ("postgresql:///x", {"PGHOST": "db.example"}, "db.example:5432"),
        ("postgresql:///x", {}, "localhost:5432"),
        ("postgresql://u@[::1]:6432/x", {}, "[::1]:6432"),
        ("postgresql://u@ignored/x?host=db.example&port=6000", {}, "db.example:6000"),
        ("postgresql://u@localhost/x?host=/run/postgresql", {}, "unix:/run/postgresql/.s.PGSQL.5432"),
        ("postgresql://u@%2Frun%2Fpostgresql:6432/x", {}, "unix:/run/postgresql/.s.PGSQL.6432"),
    ],
)
def test_permissions_contain_the_address_of_the_database(url: str, env: dict[str, str], address: str) -> None:
    assert permissions(url, env=env).addresses == ("unix:/tmp/m/e", address)


def test_permissions_on_sqlite_contain_the_file_and_no_address() -> None:
    granted = permissions("file:/data/records.db?connection_limit=1", env={"PGHOST": "db.example"})
    assert granted.addresses == ("unix:/tmp/m/e",)
    assert granted.writes == (Path("/tmp/m"), Path("/data/records.db"))
    assert "PG*" not in granted.variables


def test_permissions_contain_keys_and_the_password_file() -> None:
    url = "postgresql://u@db/x?sslmode=verify-full&sslrootcert=/k/ca.pem&sslcert=/k/c.pem&sslkey=/k/c.key"
    assert permissions(url, env={"HOME": "/h"}).reads[2:] == tuple(
        map(Path, ("/k/ca.pem", "/k/c.pem", "/k/c.key", "/h/.pgpass"))
    )
    assert permissions("postgresql://u@db/x", env={"PGPASSFILE": "/h/secret"}).reads[2:] == (Path("/h/secret"),)


def test_path_with_a_comma_is_refused_for_deno() -> None:
    with pytest.raises(ConfigError, match=r"comma in /data/a,b\.db.*Node"):
        permissions("file:/data/a,b.db").of_deno()


def test_permissions_of_a_malformed_url_are_refused() -> None:
    with pytest.raises(ConfigError):
        permissions("mysql://u@db/x")


def test_deno_refuses_everything_that_is_not_permitted(tmp_path: Path) -> None:
    folder, outside = tmp_path / "engine", tmp_path / "outside"
    folder.mkdir()
    outside.write_text("secret")
    (folder / "probe.cjs").write_text(PROBE)
    with sockets.create_server(("127.0.0.1", 0)) as allowed, sockets.create_server(("127.0.0.1", 0)) as other:
        port, forbidden = allowed.getsockname()[1], other.getsockname()[1]
        tries = [
            ("write", str(folder / "done")),
            ("read", str(folder / "probe.cjs")),
            ("variable", "PGUSER"),
            ("connect", port),
            ("read", str(outside)),
            ("read", "/etc/passwd"),
            ("read", "/proc/self/environ"),
            ("write", str(tmp_path / "new")),
            ("variable", "AWS_SECRET_ACCESS_KEY"),
            ("variable", "PATH"),
            ("run", "/bin/true"),
            ("library", "/lib/x86_64-linux-gnu/libc.so.6"),
            ("connect", forbidden),
        ]
        (folder / "tries.json").write_text(json.dumps(tries))
        env = {**os.environ, "PGUSER": "u", "AWS_SECRET_ACCESS_KEY": "hush", "DENO_DIR": str(folder)}
        granted = permissions(f"postgresql://u@127.0.0.1:{port}/x", folder, env)
        deno = Runtime("deno", packaged("deno"), (2, 9, 0), "PATH")
        assert deno.start(folder / "probe.cjs", granted, env, folder).wait(60) == 0
    assert json.loads((folder / "done").read_text()) == [what for _, what in tries[:4]]
    assert not (tmp_path / "new").exists()


@pytest.mark.anyio
@pytest.mark.usefixtures("each_runtime")
@pytest.mark.parametrize("name", ["records.db", "a b#é.db", "linked/records.db", "link.db"])
async def test_sqlite_file_of_any_name_is_permitted(tmp_path: Path, name: str) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "link.db").symlink_to("real/other.db")
    records = PrismaRecords(f"file:{tmp_path / name}", migrate=True)
    await records.open()
    try:
        job = a_job(utcnow())
        await records.create_job(job)
        assert set(await records.get_jobs([job.id])) == {job.id}
    finally:
        await records.close()
