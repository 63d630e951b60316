"""Encrypted documents: unlocked on arrival, so that no password is kept for the worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mediagate.config import Source
from mediagate.errors import PasswordRequired
from mediagate.intake.spool import SpooledFile, spool_file
from mediagate.parts import Parts

if TYPE_CHECKING:
    from mediagate.images import Recipe


@asynccontextmanager
async def unlocked(
    file: SpooledFile, recipe: Recipe, parts: Parts, source: Source, spool_dir: Path
) -> AsyncIterator[SpooledFile]:
    """Provide a file to the block: an encrypted document as a copy that opens without the password of its recipe.

    Size and hash stay those of the file that was sent. Raises like ``ImagePool.unlock``, and ``StorageUnavailable``; a
    document whose password is missing raises when it is probed.
    """
    from mediagate.images import password_of  # lazily: only gates that run pipelines load the operations

    password = password_of(recipe)
    if password is None or not await _is_locked(file, parts, source):
        yield file
        return
    async with spool_file(spool_dir) as copy:
        copy.add(await parts.images.unlock(file.path, source, password))
        yield replace(file, path=(await copy.finish()).path)


async def _is_locked(file: SpooledFile, parts: Parts, source: Source) -> bool:
    try:
        await parts.images.probe(file.path, source)
    except PasswordRequired:
        return True
    return False
