"""``s3://bucket/prefix``: the storage at an address, for ``mediagate storage``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from mediagate import Source, Storage
from mediagate.errors import ConfigError
from mediagate_plugins.s3_storage.options import Options, policy_of, without_boto3


@asynccontextmanager
async def open_address(address: str, sources: Mapping[str, Source]) -> AsyncIterator[Storage]:
    """Provide the storage in a bucket to the block; boto3 takes server, region and credentials from ``AWS_*``.

    Raises ``ConfigError``.
    """
    parts = urlsplit(address)
    if "@" in parts.netloc or parts.query or parts.fragment:
        # The message does not quote the address, since it may contain a secret key.
        raise ConfigError(
            "an address of a bucket has nothing but its name and a prefix, such as s3://my-media/prefix; boto3 takes "
            "server and credentials from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    options = Options(bucket=parts.netloc, prefix=parts.path.strip("/"), **policy_of(sources))
    try:
        from mediagate_plugins.s3_storage.storage import open_storage
    except ImportError as exc:
        raise without_boto3(exc) from None
    async with open_storage(options) as storage:
        yield storage
