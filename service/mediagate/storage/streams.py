"""Streams of a storage that may be left before their end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def streaming(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Read a stream in the block, at whose end the file or connection behind it is closed, however far it was read."""
    try:
        yield items
    finally:
        # Generators have it; a plain iterator holds nothing open, or closes it by itself.
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
