"""Closing streams of a storage that are not read to their end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def streaming(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Provide a stream to the block; afterwards close its file or connection, however far it was read."""
    try:
        yield items
    finally:
        # Generators have it; a plain iterator holds nothing open, or closes its resources itself.
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
