"""The progress of a copy: one line on a terminal that is written over, and lines that stay."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import typer

EVERY_S = 0.2
CLEAR = "\r\x1b[K"


class Progress:
    """What has been done so far; shown on standard error if that is a terminal."""

    def __init__(self) -> None:
        self.found = 0
        """Objects listed so far, while the storages are listed."""
        self.files = 0
        """Files in all, once they are listed."""
        self.bytes = 0
        self.done = 0
        self.bytes_done = 0
        self._shown = sys.stderr.isatty()
        self._began = time.monotonic()

    def begin(self, files: int, size: int) -> None:
        """Start a count towards these totals."""
        self.files, self.bytes, self._began = files, size, time.monotonic()

    def add(self, size: int) -> None:
        """Count a file that is done."""
        self.done += 1
        self.bytes_done += size

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

    def __str__(self) -> str:
        if not self.files:
            return f"listing: {self.found:,} files"
        rate = self.bytes_done / max(time.monotonic() - self._began, 0.001)
        share = f"{self.done:,} of {self.files:,} files, {amount(self.bytes_done)} of {amount(self.bytes)}"
        return f"{share}, {amount(rate)}/s"


def amount(size: float) -> str:
    """Return a number of bytes for people to read."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:.0f} bytes"
