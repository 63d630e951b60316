"""The first bytes of a file that is being received, checked before the rest arrives."""

from __future__ import annotations

from collections.abc import Callable

HEAD = 64
"""Number of bytes that identify the format of a picture; a shorter file is checked when it is complete."""


class FileHead:
    """Collects the first ``HEAD`` bytes and hands them to ``check``, which may refuse the file by raising."""

    def __init__(self, check: Callable[[bytes], None]) -> None:
        self._check = check
        self._bytes = b""

    def add(self, piece: bytes | bytearray) -> None:
        """Add the next bytes of the file."""
        if len(self._bytes) < HEAD:
            self._bytes += piece[: HEAD - len(self._bytes)]
            if len(self._bytes) == HEAD:
                self._check(self._bytes)
