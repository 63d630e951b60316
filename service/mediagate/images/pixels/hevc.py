"""The sequence parameter sets of an HEVC bitstream (ITU-T H.265, section 7.3.2.2)."""

from __future__ import annotations

from collections.abc import Iterator

from mediagate.images.pixels.bits import Bits

_PARAMETER_SET = 33
"""``SPS_NUT`` (table 7-1)."""
_WHOLE_BYTES = 256
"""More bytes than a parameter set has before its size."""
_WITH_PLANES = 3
"""``chroma_format_idc`` of 4:4:4, after which a flag follows."""


def parameter_sets(units: memoryview, length_bytes: int) -> Iterator[bytes | None]:
    """Yield the beginning of each sequence parameter set, and ``None`` for each other unit.

    Each unit follows its length (ISO/IEC 14496-15, section 8.3.2).
    """
    at = 0
    while at + length_bytes < len(units):
        size = int.from_bytes(units[at : at + length_bytes])
        at += length_bytes
        yield _parameter_set(units[at : at + size])
        at += size


def configured_sets(configuration: memoryview) -> Iterator[bytes | None]:
    """Yield the same for the units in the body of ``hvcC`` (ISO/IEC 14496-15, section 8.3.3.1).

    Raises ``IndexError`` for a truncated body.
    """
    at = 23
    for _ in range(configuration[22]):
        count = configuration[at + 1] << 8 | configuration[at + 2]
        at += 3
        for _ in range(count):
            size = configuration[at] << 8 | configuration[at + 1]
            yield _parameter_set(configuration[at + 2 : at + 2 + size])
            at += 2 + size


def parameter_size(parameter_set: bytes) -> tuple[int, int]:
    """Return width and height of coded pictures in pixels, before cropping.

    Raises ``IndexError`` for a truncated set.
    """
    bits = Bits(parameter_set.replace(b"\0\0\3", b"\0\0"))  # section 7.4.2
    bits.read(20)  # the unit's header, and the number of the video parameter set
    layers = bits.read(3)
    bits.read(1 + 96)
    if layers:  # section 7.3.3
        present = [(bits.read(1), bits.read(1)) for _ in range(8)][:layers]
        for profile, level in present:
            bits.read(88 * profile + 8 * level)
    bits.read_ue()
    if bits.read_ue() == _WITH_PLANES:
        bits.read(1)
    return bits.read_ue(), bits.read_ue()


def _parameter_set(unit: memoryview) -> bytes | None:
    return bytes(unit[:_WHOLE_BYTES]) if unit and unit[0] >> 1 & 63 == _PARAMETER_SET else None
