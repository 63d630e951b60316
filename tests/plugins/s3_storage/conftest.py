"""A real S3 server for the whole session, and a storage in the test's bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
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
