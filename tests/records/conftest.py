"""Fixtures: an empty database of each kind, each runtime of the query engine, and Prisma's command line."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from mediagate.records.migration import MIGRATIONS
from mediagate.records.runtime import find_runtime
from tests.support.programs import program
from tests.support.runtimes import RUNTIMES, first_on_path, packaged

ROOT = Path(__file__).parents[2]

PrismaCLI = Callable[..., subprocess.CompletedProcess[str]]

PACKAGES = """{"private": true, "dependencies": {
  "prisma": "6.19.3", "@prisma/adapter-libsql": "6.19.3", "adapter-pg7": "npm:@prisma/adapter-pg@7.10.1"
}}
"""
CONFIG = """import { defineConfig } from 'prisma/config'
import { PrismaLibSQL } from '@prisma/adapter-libsql'
import { PrismaPg } from 'adapter-pg7'
const url = process.env.MEDIAGATE_DATABASE_URL!
export default defineConfig({
  experimental: { adapter: true },
  engine: 'js',
  adapter: async () => url.startsWith("file:")
    ? new PrismaLibSQL({ url })
    : new PrismaPg({ connectionString: url, allowExitOnIdle: true, idleTimeoutMillis: 50 }),
} as any)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"file:{tmp_path / 'records.db'}"
    url = str(request.getfixturevalue("postgres_url"))
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    finally:
        await connection.close()
    return url


@pytest.fixture(scope="module", params=RUNTIMES)
def each_runtime(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the query engine on Deno, and then on Node; also in processes that a test starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", first_on_path(request.param))
        find_runtime.cache_clear()
        assert find_runtime().name == request.param
        yield
    find_runtime.cache_clear()


@pytest.fixture(scope="session")
def prisma_modules() -> Path:
    """Prisma's command line with its schema engine in WebAssembly, installed once into the checkout's cache."""
    folder = ROOT / ".cache" / "prisma-cli-test"
    stamp = folder / "installed.json"
    if not (stamp.is_file() and stamp.read_text() == PACKAGES):
        npm = program("npm", "npm")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(PACKAGES)
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            pytest.skip(f"npm cannot install Prisma's command line: {done.stderr.strip()[-300:]}")
        stamp.write_text(PACKAGES)
    return folder / "node_modules"


@pytest.fixture
def prisma(prisma_modules: Path) -> Iterator[PrismaCLI]:
    """Run Prisma's command line on our schema and migrations for a provider and a database URL."""
    folder = prisma_modules.parent / f"run-{uuid4().hex[:8]}"

    def run(provider: str, url: str, *words: str) -> subprocess.CompletedProcess[str]:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "prisma").mkdir(parents=True)
        (folder / "prisma.config.ts").write_text(CONFIG)
        schema = (ROOT / "schema.prisma").read_text().replace('"sqlite"', f'"{provider}"')
        before, _, after = schema.partition("generator client {")
        (folder / "prisma" / "schema.prisma").write_text(before + after.partition("}")[2])
        shutil.copytree(MIGRATIONS / provider, folder / "prisma" / "migrations")
        none = shutil.which("true") or "/bin/true"
        command = [str(packaged("node")), str(prisma_modules / "prisma" / "build" / "index.js"), *words]
        return subprocess.run(
            command,
            cwd=folder,
            env={
                **os.environ,
                "MEDIAGATE_DATABASE_URL": url,
                "PRISMA_QUERY_ENGINE_LIBRARY": none,
                "PRISMA_SCHEMA_ENGINE_BINARY": none,
                "CHECKPOINT_DISABLE": "1",
                "PRISMA_HIDE_UPDATE_MESSAGE": "1",
                "NODE_OPTIONS": "",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    try:
        yield run
    finally:
        shutil.rmtree(folder, ignore_errors=True)
