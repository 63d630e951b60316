"""A copy that the server makes by itself, of the very object that was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from mediagate.errors import ObjectChanged
from mediagate.storage import ObjectInfo
from mediagate_plugins.s3_storage.connection import status_of

MAX_COPY = 5 * 1024**3
"""Bytes that S3 copies in one request; the ``max_bytes`` of sources is far below."""


def copy_object(
    client: Any, source: ObjectInfo, place: Mapping[str, str], to: Mapping[str, str], headers: Mapping[str, str]
) -> None:
    """Copy the object at ``place`` if it still has its version; blocks, and raises what boto3 does.

    Ceph's gateway takes the condition and does not look at it (tracker.ceph.com/issues/40808), so what was copied is
    looked at afterwards: a copy of something else is deleted. Raises ``ObjectChanged``.
    """
    if source.size > MAX_COPY:
        raise ValueError(f"{source.key}: {source.size:,} bytes are more than S3 copies, which is {MAX_COPY:,}")
    try:
        answer = client.copy_object(
            **to,
            **headers,
            CopySource=dict(place),
            CopySourceIfMatch=source.version,
            MetadataDirective="REPLACE",  # else it would keep the type that its source came with
        )
    except ClientError as exc:
        if status_of(exc) == 412:
            raise _changed(source) from None
        raise
    # The copy of an object that came in parts, or is encrypted with a key of KMS, has another ETag than its source.
    if _same(answer["CopyObjectResult"]["ETag"], source.version):
        return
    try:
        same = _same(client.head_object(**place)["ETag"], source.version)
    except ClientError as exc:
        if status_of(exc) != 404:
            raise
        same = False
    if not same:
        client.delete_object(**to)
        raise _changed(source)


def _same(one: str, other: str) -> bool:
    return one.strip('"') == other.strip('"')


def _changed(source: ObjectInfo) -> ObjectChanged:
    return ObjectChanged(f"{source.key}: there is another object by now")
