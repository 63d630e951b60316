"""Server-side copies of exactly the object that was examined."""

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
    """Copy the object at ``place`` if its version is unchanged; blocks, and raises the errors of boto3.

    Ceph's gateway ignores the condition (tracker.ceph.com/issues/40808), so the copy is verified afterwards and deleted
    if it is of another version. Raises ``ObjectChanged``.
    """
    if source.size > MAX_COPY:
        raise ValueError(f"{source.key}: {source.size:,} bytes exceed the limit of a copy in S3, {MAX_COPY:,}")
    try:
        answer = client.copy_object(
            **to,
            **headers,
            CopySource=dict(place),
            CopySourceIfMatch=source.version,
            MetadataDirective="REPLACE",  # otherwise the copy would have the content type of its source
        )
    except ClientError as exc:
        if status_of(exc) == 412:
            raise _changed(source) from None
        raise
    # The copy of an object that was uploaded in parts, or is encrypted by KMS, has a different ETag than its source.
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
    return ObjectChanged(f"{source.key}: the object has been replaced meanwhile")
