"""The sequence header of an AV1 bitstream (AV1 Bitstream & Decoding Process Specification, section 5.5)."""

from __future__ import annotations

from mediagate.images.code_points import CodePoints

_SEQUENCE_HEADER = 1
_MAX_UNITS = 16
_WHOLE_BYTES = 256
"""More than any sequence header has."""
_CHOSEN_LATER = 2


def sequence_code_points(stream: memoryview) -> CodePoints | None:
    """Return the colour description of the first sequence header, or ``None`` if it has none.

    Raises ``IndexError`` for a stream that was cut off.
    """
    at = 0
    for _ in range(_MAX_UNITS):
        header = stream[at]
        at += 2 if header & 4 else 1  # an extension
        size, at = _leb128(stream, at) if header & 2 else (len(stream) - at, at)
        if header >> 3 & 15 == _SEQUENCE_HEADER:
            return _colour_description(_Bits(bytes(stream[at : at + min(size, _WHOLE_BYTES)])))
        at += size
    return None


def _leb128(stream: memoryview, at: int) -> tuple[int, int]:
    """Return a number and where the next field begins (section 4.10.5)."""
    value = 0
    for number in range(8):
        value |= (stream[at + number] & 0x7F) << 7 * number
        if not stream[at + number] & 0x80:
            return value, at + number + 1
    raise IndexError("a number has more than 8 bytes")


class _Bits:
    """Fields of so many bits, the most significant first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, count: int) -> int:
        first, last = self._at // 8, (self._at + count + 7) // 8
        if last > len(self._data):
            raise IndexError("the header was cut off")
        self._at += count
        return int.from_bytes(self._data[first:last]) >> (8 * last - self._at) & (1 << count) - 1

    def skip_uvlc(self) -> None:
        """Skip a number of variable length (section 4.10.3)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        if zeros < 32:
            self.read(zeros)


def _colour_description(bits: _Bits) -> CodePoints | None:
    profile, _, reduced = bits.read(3), bits.read(1), bits.read(1)
    if reduced:
        bits.read(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    bits.read(width_bits)
    bits.read(height_bits)
    if not reduced and bits.read(1):  # frame ids
        bits.read(7)
    bits.read(3)
    if not reduced:
        _skip_tools(bits)
    bits.read(3)
    if bits.read(1) and profile == 2:  # more than 8 bits
        bits.read(1)
    if profile != 1:
        bits.read(1)  # monochrome
    return CodePoints(bits.read(8), bits.read(8)) if bits.read(1) else None


def _skip_operating_points(bits: _Bits) -> None:
    """Skip timing and operating points (sections 5.5.1 and 5.5.3 to 5.5.5)."""
    delay_bits = 0
    if bits.read(1):
        bits.read(64)
        if bits.read(1):
            bits.skip_uvlc()
        if bits.read(1):
            delay_bits = bits.read(5) + 1
            bits.read(42)
    display_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if delay_bits and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if display_delay and bits.read(1):
            bits.read(4)


def _skip_tools(bits: _Bits) -> None:
    """Skip the flags of inter prediction (section 5.5.1)."""
    bits.read(4)
    order_hint = bits.read(1)
    if order_hint:
        bits.read(2)
    screen_content = _CHOSEN_LATER if bits.read(1) else bits.read(1)
    if screen_content and not bits.read(1):
        bits.read(1)
    if order_hint:
        bits.read(3)
