"""A real S3 server for the whole session, and a bucket of its own for each test."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

from mediagate_plugins.s3_storage.options import Options
from mediagate_plugins.s3_storage.storage import S3Storage, open_storage
from tests.support.rgw import Gateway, missing, running_gateway


@dataclass(frozen=True)
class Server:
    """An S3 server: its URL and our credentials, and the gateway if we started it."""

    url: str
    access_key: str
    secret_key: str
    gateway: Gateway | None = None

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    @property
    def options(self) -> dict[str, Any]:
        """Options of the plugin for this server, with timeouts that suit tests."""
        return {
            "endpoint_url": self.url,
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
            "read_timeout_s": 30.0,
        }

    def client(self) -> Any:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server that MEDIAGATE_TEST_S3_URL names (its keys in AWS_ACCESS_KEY_ID, …), else a Ceph gateway of ours."""
    if url := os.environ.get("MEDIAGATE_TEST_S3_URL"):
        yield Server(url, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        return
    if problem := missing():
        pytest.skip(f"no S3 server for the test ({problem}), and MEDIAGATE_TEST_S3_URL names none")
    with running_gateway() as gateway:
        yield Server(gateway.url, gateway.access_key, gateway.secret_key, gateway)


@pytest.fixture
def gateway(server: Server) -> Gateway:
    """The gateway as a process that can be killed and stopped."""
    if server.gateway is None:
        pytest.skip("the server that MEDIAGATE_TEST_S3_URL names is not ours to kill")
    return server.gateway


@pytest.fixture(scope="session")
def s3(server: Server) -> Iterator[Any]:
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
def storage_of(server: Server, bucket: str) -> MakeStorage:
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
