"""The sequence header of an AV1 bitstream (AV1 Bitstream & Decoding Process Specification, section 5.5)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mediagate.images.pixels.bits import Bits
from mediagate.images.pixels.code_points import CodePoints

_SEQUENCE_HEADER = 1
_MAX_UNITS = 16
_WHOLE_BYTES = 256
"""More bytes than any sequence header has."""
_CHOSEN_LATER = 2


def sequence_code_points(stream: memoryview) -> CodePoints | None:
    """Return the colour description of the first sequence header, ``None`` if there is none.

    Raises ``IndexError`` for a truncated stream.
    """
    for header in islice(sequence_headers(stream), _MAX_UNITS):
        if header is not None:
            return _colour_description(Bits(header))
    return None


def sequence_headers(stream: memoryview) -> Iterator[bytes | None]:
    """Yield the beginning of each sequence header, and ``None`` for each other unit (section 5.3).

    Raises ``IndexError`` for a truncated stream.
    """
    at = 0
    while at < len(stream):
        header = stream[at]
        at += 2 if header & 4 else 1  # an extension
        size, at = _leb128(stream, at) if header & 2 else (len(stream) - at, at)
        is_sequence_header = header >> 3 & 15 == _SEQUENCE_HEADER
        yield bytes(stream[at : at + min(size, _WHOLE_BYTES)]) if is_sequence_header else None
        at += size


def sequence_size(header: bytes) -> tuple[int, int]:
    """Return width and height of the largest frame that a sequence header allows, in pixels.

    Raises ``IndexError`` for a truncated header.
    """
    bits = Bits(header)
    _begin(bits)
    return _frame_size(bits)


def _leb128(stream: memoryview, at: int) -> tuple[int, int]:
    """Return a number and the offset of the next field (section 4.10.5)."""
    value = 0
    for number in range(8):
        value |= (stream[at + number] & 0x7F) << 7 * number
        if not stream[at + number] & 0x80:
            return value, at + number + 1
    raise IndexError("a number has more than 8 bytes")


def _colour_description(bits: Bits) -> CodePoints | None:
    profile, reduced = _begin(bits)
    _frame_size(bits)
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


def _begin(bits: Bits) -> tuple[int, int]:
    """Read up to the frame size; return the profile, and whether the header has the reduced form of a still."""
    profile, _, reduced = bits.read(3), bits.read(1), bits.read(1)
    if reduced:
        bits.read(5)
    else:
        _skip_operating_points(bits)
    return profile, reduced


def _frame_size(bits: Bits) -> tuple[int, int]:
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return bits.read(width_bits) + 1, bits.read(height_bits) + 1


def _skip_operating_points(bits: Bits) -> None:
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


def _skip_tools(bits: Bits) -> None:
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
