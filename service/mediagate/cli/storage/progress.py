"""The progress of a copy."""

from __future__ import annotations

import time

from mediagate.cli.status_line import StatusLine


class Progress(StatusLine):
    """What has been done so far."""

    def __init__(self) -> None:
        super().__init__()
        self.found = 0
        """Objects listed so far, while the storages are listed."""
        self.files = 0
        """Files in all, once they are listed."""
        self.bytes = 0
        self.done = 0
        self.bytes_done = 0
        self._began = time.monotonic()

    def begin(self, files: int, size: int) -> None:
        """Start a count towards these totals."""
        self.files, self.bytes, self._began = files, size, time.monotonic()

    def add(self, size: int) -> None:
        """Count a file that is done."""
        self.done += 1
        self.bytes_done += size

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
