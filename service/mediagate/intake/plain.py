"""Plain bodies: a file of a known size, and a small JSON document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mediagate.errors import BadUpload, UploadMismatch
from mediagate.intake.body import RequestBody
from mediagate.intake.file_head import FileHead
from mediagate.intake.spool import SpooledFile, spool_file

MAX_JSON = 16 * 1024
"""Bytes of a JSON body."""


@asynccontextmanager
async def receive_file(
    body: RequestBody, spool_dir: Path, *, size: int, check_head: Callable[[bytes], None]
) -> AsyncIterator[SpooledFile]:
    """Receive a body of exactly ``size`` bytes into the spool, where it stays for the length of the block.

    ``check_head`` is called with the first bytes of the file as soon as they arrive, and may refuse it by raising.

    Raises ``UploadMismatch`` as soon as the body proves longer or shorter, ``UploadTimeout``, ``StorageUnavailable``
    when the disk is full, and Starlette's ``ClientDisconnect``.
    """
    if body.declared not in (None, size):
        raise UploadMismatch(f"the body has {body.declared:,} bytes but {size:,} were declared; send the declared file")
    head = FileHead(check_head)
    async with spool_file(spool_dir) as file:
        while chunk := await body.read():
            if file.bytes + len(chunk) > size:
                raise UploadMismatch(f"the body has more than the declared {size:,} bytes; send the declared file")
            head.add(chunk)
            file.add(chunk)
            await file.flush()
        if file.bytes != size:
            raise UploadMismatch(f"the body ended after {file.bytes:,} of {size:,} bytes; send it again")
        yield await file.finish()


async def receive_json(body: RequestBody, content_type: str, *, max_bytes: int = MAX_JSON) -> dict[str, Any]:
    """Return the JSON object of a body; raises ``BadUpload`` for anything else, ``UploadTimeout``."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise BadUpload(f"the content type is {content_type or 'missing'!r:.80}; send application/json")
    received = bytearray()
    while chunk := await body.read():
        received += chunk
        if len(received) > max_bytes:
            raise BadUpload(f"the body has more than {max_bytes:,} bytes; send a JSON object, not a file")
    return read_object(received, "the body")


def read_object(text: bytes | bytearray, name: str) -> dict[str, Any]:
    """Return a JSON object; raises ``BadUpload``, which calls it by this name, for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadUpload(f"{name} is not valid JSON; send a JSON object") from exc
    if not isinstance(value, dict):
        raise BadUpload(f"{name} is JSON but not an object; send a JSON object")
    return value
