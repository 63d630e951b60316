"""Objects in a bucket."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from mediagate.errors import MediagateError, ObjectNotFound, StorageUnavailable
from mediagate.storage import (
    CONTENT_TYPES,
    FOR_EVER,
    ObjectInfo,
    PresignedGet,
    PresignedPut,
    check_key,
    check_prefix,
    is_key,
    is_public,
    segment,
)
from mediagate_plugins.s3_storage.connection import Connection, status_of
from mediagate_plugins.s3_storage.copies import copy_object
from mediagate_plugins.s3_storage.options import Options
from mediagate_plugins.s3_storage.signatures import MAX_EXPIRES_S, presign

log = logging.getLogger("mediagate")

CHUNK = 32 * 1024
PART = 8 * 1024 * 1024
"""Bytes from which an object is sent in parts of this size, so that a retry repeats only one part."""
DELETE_BATCH = 1000
"""Objects that S3 deletes, and lists, in one request."""
HOUR_S = 3600
RENEW_EVERY_S = 60.0
"""boto3 renews credentials from 15 minutes before their expiry on, but only on access."""

_CONTENT_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+-]+")
_TRANSFER = TransferConfig(
    multipart_threshold=PART,
    multipart_chunksize=PART,
    # In the calling thread, which belongs to the pool, so that the number of threads stays bounded.
    use_threads=False,
    preferred_transfer_client="classic",
)


class S3Storage:
    """A storage in a bucket, with the quarantine in the same or another one; created by ``open_storage``.

    A write or delete that failed with ``StorageUnavailable`` may still take effect when a hung server continues.
    """

    def __init__(self, options: Options, connection: Connection) -> None:
        self.options = options
        self.key_prefixes = options.key_prefixes
        self.connection = connection
        self._public_url = options.public_url.rstrip("/") if options.public_url else None

    def __repr__(self) -> str:
        prefix = self.options.prefix.strip("/")
        return f"S3Storage({self.options.bucket}/{prefix and f'{prefix}/'})"

    async def put(self, key: str, body: bytes | Path) -> None:
        """Store bytes or a local file's content atomically, in parts when it is large."""
        where = self._where(key)
        headers = self._headers(key)
        client = self.connection.client

        def send() -> None:
            if isinstance(body, bytes) and len(body) < PART:
                client.put_object(**where, **headers, Body=body)
                return
            with body.open("rb") if isinstance(body, Path) else BytesIO(body) as file:
                client.upload_fileobj(file, where["Bucket"], where["Key"], ExtraArgs=headers, Config=_TRANSFER)

        size = (await asyncio.to_thread(body.stat)).st_size if isinstance(body, Path) else len(body)
        try:
            await self.connection.ask(key, send, size=size)
        except ObjectNotFound:
            # A write needs no existing object: the multipart upload has been aborted meanwhile.
            raise StorageUnavailable(f"S3, {key}: the upload was aborted by another client; try again") from None

    async def get(self, key: str) -> bytes:
        """Return an object's bytes; raises ``ObjectNotFound``."""
        where = self._where(key)

        def read() -> bytes:
            with closing(self.connection.client.get_object(**where)["Body"]) as body:
                return bytes(body.read())

        return await self.connection.ask(key, read)

    async def stream(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over ``length`` bytes from ``start``; raises ``ObjectNotFound`` on the first step."""
        where = self._where(key)
        if length is not None and length <= 0:
            if await self.stat(key) is None:
                raise ObjectNotFound(f"object {key} not found")
            return
        if start or length is not None:
            where["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        body = await self.connection.ask(key, partial(self._open, where))
        if body is None:
            return
        try:
            while chunk := await self.connection.ask(key, partial(body.read, CHUNK)):
                yield chunk
        finally:
            body.close()

    def _open(self, request: dict[str, str]) -> Any:
        """Return an object's body, ``None`` when the range begins after its end."""
        try:
            return self.connection.client.get_object(**request)["Body"]
        except ClientError as exc:
            if status_of(exc) == 416:
                return None
            raise

    async def stat(self, key: str) -> ObjectInfo | None:
        """Return size and age of an object, ``None`` if there is none."""
        where = self._where(key)
        client = self.connection.client

        def head() -> Any:
            try:
                return client.head_object(**where)
            except ClientError as exc:
                if status_of(exc) != 404:
                    raise
            # The answer has no body that tells a missing object from a missing bucket; the latter is an outage.
            try:
                client.head_bucket(Bucket=where["Bucket"])
            except ClientError as exc:
                if status_of(exc) == 404:
                    raise StorageUnavailable(f"S3: bucket {where['Bucket']} not found; create it") from None
                raise
            return None

        found = await self.connection.ask(key, head)
        if found is None:
            return None
        return ObjectInfo(key, found["ContentLength"], found["LastModified"].astimezone(UTC), found["ETag"])

    async def copy(self, source: ObjectInfo, key: str) -> None:
        """Have the server copy an object of at most 5 GiB to another key, without transferring it through the gate.

        Raises ``ObjectChanged`` when its ETag has changed, ``ObjectNotFound`` when it has been deleted.
        """
        copy = partial(copy_object, self.connection.client, source, self._where(source.key), self._where(key))
        await self.connection.ask(source.key, partial(copy, self._headers(key)), size=source.size)

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, 1,000 a request. Idempotent."""
        places: dict[str, list[str]] = {}
        for key in [check_key(key) for key in keys]:
            where = self._where(key)
            places.setdefault(where["Bucket"], []).append(where["Key"])
        for bucket, names in places.items():
            left = iter(dict.fromkeys(names))
            while batch := [*islice(left, DELETE_BATCH)]:
                await self.connection.ask(f"delete of {len(batch)}", partial(self._delete, bucket, batch))

    def _delete(self, bucket: str, names: list[str]) -> None:
        if len(names) == 1:
            self.connection.client.delete_object(Bucket=bucket, Key=names[0])
            return
        wanted = {"Objects": [{"Key": name} for name in names], "Quiet": True}
        answer = self.connection.client.delete_objects(Bucket=bucket, Delete=wanted)
        left = [error for error in answer.get("Errors", ()) if error.get("Code") != "NoSuchKey"]
        if left:
            raise StorageUnavailable(f"S3: {len(left)} of {len(names)} objects could not be deleted; try again")

    async def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Iterate over all objects below a prefix, which ends with ``/``."""
        bucket, name = self.options.place(check_prefix(prefix))
        request = {"Bucket": bucket, "Prefix": name, "MaxKeys": DELETE_BATCH}
        while True:
            page = await self.connection.ask(prefix, partial(self.connection.client.list_objects_v2, **request))
            for item in page.get("Contents", ()):
                key = prefix + item["Key"].removeprefix(name)
                if is_key(key):
                    yield ObjectInfo(key, item["Size"], item["LastModified"].astimezone(UTC), item["ETag"])
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def url(self, key: str) -> str | None:
        """Return ``public_url`` and the name of a published key, ``None`` if it is private or the gate serves it."""
        check_key(key)
        if self._public_url is None or not is_public(key) or segment(key, 1) in self.options.private_sources:
            return None
        return f"{self._public_url}/{quote(self.key_prefixes.name_of(key))}"

    def presign_get(self, key: str, *, signed_at: datetime, expires_s: int) -> PresignedGet | None:
        """Return a URL of the bucket that reads an object; it expires with the credentials, if they expire sooner."""
        expires_at = signed_at + timedelta(seconds=_life(expires_s))
        ends = self.connection.signer.expires_at
        url = self._presign("GET", key, signed_at=signed_at, expires_s=expires_s)
        return PresignedGet(url, min(expires_at, ends) if ends else expires_at)

    async def presign_put(self, key: str, *, content_type: str, size: int, expires_s: float) -> PresignedPut | None:
        """Return a URL of the bucket that writes exactly ``size`` bytes of ``content_type``.

        Both are signed: the server refuses another length or type. Raises ``ValueError`` for an invalid type or size.
        """
        if not _CONTENT_TYPE.fullmatch(content_type) or size < 0:
            raise ValueError(f"content type {content_type!r:.100}, {size} bytes: give a type such as image/jpeg")
        signed_at = datetime.now(UTC).replace(microsecond=0)
        life_s = _life(int(expires_s))
        # A client sends the length itself, and browsers do not allow scripts to set it.
        headers = {"Content-Type": content_type}
        signed = headers | {"Content-Length": str(size)}
        url = self._presign("PUT", key, signed_at=signed_at, expires_s=life_s, headers=signed)
        expires_at, ends = signed_at + timedelta(seconds=life_s), self.connection.signer.expires_at
        return PresignedPut(url, headers, min(expires_at, ends) if ends else expires_at)

    async def check(self) -> str:
        """Write, read and delete a small object; return one line for ``mediagate doctor``."""
        key, body = f"staging/check-{secrets.token_hex(8)}", secrets.token_bytes(64)
        await self.put(key, body)
        try:
            if await self.get(key) != body:
                raise StorageUnavailable(f"{self!r}: the bytes read back differ from those written")
        finally:
            await self.delete([key])
        return f"{self!r}: write, read and delete work"

    def address(self, key: str) -> str:
        """Return an object's unsigned URL at the bucket's address for clients."""
        where = self._where(key)
        return self.connection.addresses[where["Bucket"]] + where["Key"]

    def _presign(self, method: str, key: str, **how: Any) -> str:
        url, connection = self.address(key), self.connection
        return presign(method, url, signer=connection.signer, region=connection.region, **how)

    def _where(self, key: str) -> dict[str, str]:
        bucket, name = self.options.place(check_key(key))
        return {"Bucket": bucket, "Key": name}

    def _headers(self, key: str) -> dict[str, str]:
        kind = CONTENT_TYPES.get(key.rpartition(".")[2], "application/octet-stream")
        if not is_public(key):
            return {"ContentType": kind, "CacheControl": "no-store"}
        source = segment(key, 1)
        if source in self.options.private_sources:
            return {"ContentType": kind, "CacheControl": f"private, max-age={HOUR_S}"}
        # Files that will be deleted must not stay in caches for long.
        expires = source in self.options.expiring_sources
        return {"ContentType": kind, "CacheControl": f"public, max-age={HOUR_S}" if expires else FOR_EVER}


@asynccontextmanager
async def open_storage(options: Options) -> AsyncIterator[S3Storage]:
    """Provide a storage to the block and renew its credentials; makes no request to the server.

    Raises ``ConfigError``.
    """
    connection = await asyncio.to_thread(Connection, options)
    renewing = asyncio.create_task(_renew(connection)) if connection.temporary else None
    try:
        yield S3Storage(options, connection)
    finally:
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        await asyncio.to_thread(connection.close)


async def _renew(connection: Connection) -> None:
    while True:
        await asyncio.sleep(RENEW_EVERY_S)
        try:
            await connection.renew()
        except MediagateError as exc:
            log.warning("could not renew the S3 credentials: %s", exc)


def _life(expires_s: int) -> int:
    if not 1 <= expires_s <= MAX_EXPIRES_S:
        raise ValueError(f"expires_s: give 1 to {MAX_EXPIRES_S}, not {expires_s}")
    return expires_s
