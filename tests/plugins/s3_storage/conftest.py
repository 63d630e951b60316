"""A real S3 server for the whole session, and a bucket of its own for each test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from mediagate_plugins.s3_storage.options import Options
from mediagate_plugins.s3_storage.storage import S3Storage, open_storage
from tests.support.rgw import Gateway
from tests.support.s3_server import S3Server


@pytest.fixture(scope="session")
def server(s3_server: S3Server) -> S3Server:
    return s3_server


@pytest.fixture
def gateway(s3_gateway: Gateway) -> Gateway:
    return s3_gateway


@pytest.fixture(scope="session")
def s3(server: S3Server) -> Iterator[Any]:
    """A plain client of boto3."""
    client = server.client()
    yield client
    client.close()


@pytest.fixture
def make_bucket(s3: Any) -> Iterator[Callable[[], str]]:
    """Make buckets that are deleted after the test."""
    made = []

    def make() -> str:
        name = f"mediagate-test-{secrets.token_hex(6)}"
        s3.create_bucket(Bucket=name)
        made.append(name)
        return name

    yield make
    for name in made:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            if found := page.get("Contents"):
                s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": item["Key"]} for item in found]})
        for upload in s3.list_multipart_uploads(Bucket=name).get("Uploads", ()):
            s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        s3.delete_bucket(Bucket=name)


@pytest.fixture
def bucket(make_bucket: Callable[[], str]) -> str:
    return make_bucket()


MakeStorage = Callable[..., AbstractAsyncContextManager[S3Storage]]


@pytest.fixture
def storage_of(server: S3Server, bucket: str) -> MakeStorage:
    """Open a storage in the test's bucket."""

    @asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[S3Storage]:
        async with open_storage(Options(**{"bucket": bucket, **server.options, **options})) as storage:
            yield storage

    return make


@pytest.fixture
async def storage(storage_of: MakeStorage) -> AsyncIterator[S3Storage]:
    async with storage_of() as storage:
        yield storage
