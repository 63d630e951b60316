"""A line on a terminal that is written over while a command works, and lines that stay."""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import typer

EVERY_S = 0.2
CLEAR = "\r\x1b[K"


class StatusLine(ABC):
    """Base of a command's progress; shown on standard error if that is a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    @abstractmethod
    def __str__(self) -> str:
        """Return the line as it is to be shown now."""

    def print(self, line: str, *, err: bool = False) -> None:
        """Print a line that stays."""
        if self._shown:
            typer.echo(CLEAR, err=True, nl=False)
        typer.echo(line, err=err)

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show the progress during the block."""
        showing = asyncio.create_task(self._show()) if self._shown else None
        try:
            yield
        finally:
            if showing is not None:
                showing.cancel()
                with suppress(asyncio.CancelledError):
                    await showing
                typer.echo(CLEAR, err=True, nl=False)

    async def _show(self) -> None:
        while True:
            typer.echo(f"{CLEAR}{self}", err=True, nl=False)
            await asyncio.sleep(EVERY_S)
