"""Fields of a bitstream that are not aligned to bytes."""

from __future__ import annotations


class Bits:
    """Reads fields of any number of bits, the most significant first; raises ``IndexError`` at the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, count: int) -> int:
        """Return the number in the next ``count`` bits."""
        first, last = self._at // 8, (self._at + count + 7) // 8
        if last > len(self._data):
            raise IndexError("the header is truncated")
        self._at += count
        return int.from_bytes(self._data[first:last]) >> (8 * last - self._at) & (1 << count) - 1

    def skip_uvlc(self) -> None:
        """Skip a number of variable length (AV1 specification, section 4.10.3)."""
        zeros = self._zeros()
        if zeros < 32:
            self.read(zeros)

    def read_ue(self) -> int:
        """Return a number in Exp-Golomb code (ITU-T H.265, section 9.2)."""
        zeros = self._zeros()
        return (1 << zeros) - 1 + self.read(zeros)

    def _zeros(self) -> int:
        zeros = 0
        while not self.read(1):
            zeros += 1
        return zeros
