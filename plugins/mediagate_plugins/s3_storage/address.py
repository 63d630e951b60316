"""``s3://bucket/prefix``: the storage at an address, for ``mediagate storage``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from mediagate import Source, Storage
from mediagate.errors import ConfigError
from mediagate.storage import KeyPrefixes
from mediagate_plugins.s3_storage.options import Options, policy_of, without_boto3

DEFAULT = KeyPrefixes()


@asynccontextmanager
async def open_address(
    address: str, sources: Mapping[str, Source], *, key_prefixes: KeyPrefixes = DEFAULT
) -> AsyncIterator[Storage]:
    """Provide the storage in a bucket to the block; boto3 takes server, region and credentials from ``AWS_*``.

    Raises ``ConfigError``.
    """
    bucket, prefix = _split(address)
    options = Options(bucket=bucket, prefix=prefix, key_prefixes=key_prefixes, **policy_of(sources))
    try:
        from mediagate_plugins.s3_storage.storage import open_storage
    except ImportError as exc:
        raise without_boto3(exc) from None
    async with open_storage(options) as storage:
        yield storage


def _split(address: str) -> tuple[str, str]:
    with suppress(ValueError):
        parts = urlsplit(address)
        if "@" not in parts.netloc and not parts.query and not parts.fragment:
            return parts.netloc, parts.path.strip("/")
    # The message does not quote the address, since it may contain a secret key.
    raise ConfigError(
        "an address of a bucket has nothing but its name and a prefix, such as s3://my-media/prefix; boto3 takes "
        "server and credentials from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )
