"""Databases and storages of each kind, for gates with data of owners, and a folder for archives."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediagate import MediaGate
from mediagate_plugins.s3_storage import s3_storage
from tests.support.forked import SharedForkServer
from tests.support.owner_data import Site
from tests.support.s3_server import S3Server


@pytest.fixture(params=["sqlite and files", "postgresql and bucket"])
def site(request: pytest.FixtureRequest, tmp_path: Path, fork_server: SharedForkServer) -> Site:
    """SQLite with a folder, and PostgreSQL with a bucket."""
    data_dir = tmp_path / "data"
    if request.param == "sqlite and files":
        return Site(data_dir, f"file:{tmp_path / 'records.db'}", fork_server, storage=lambda gate: None)
    use_bucket = request.getfixturevalue("use_bucket")
    return Site(data_dir, str(request.getfixturevalue("own_postgres_url")), fork_server, storage=use_bucket)


@pytest.fixture
def use_bucket(s3_server: S3Server) -> Iterator[Any]:
    """Register the storage of a gate in a new bucket, which is deleted after the test."""
    client, name = s3_server.client(), f"mediagate-test-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=name)

    def use(gate: MediaGate) -> None:
        gate.register(s3_storage, bucket=name, **s3_server.options)

    yield use
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        if found := page.get("Contents"):
            client.delete_objects(Bucket=name, Delete={"Objects": [{"Key": item["Key"]} for item in found]})
    client.delete_bucket(Bucket=name)
    client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for archives."""
    folder = tmp_path / "archives"
    folder.mkdir()
    return folder
