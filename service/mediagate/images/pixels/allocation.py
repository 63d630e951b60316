"""Lack of memory in libraries: few raise ``MemoryError``, and some end the process."""

from __future__ import annotations

import ctypes
import re

_libc = ctypes.CDLL(None)
_libc.malloc.restype = ctypes.c_void_p
_libc.malloc.argtypes = [ctypes.c_size_t]
_libc.free.argtypes = [ctypes.c_void_p]

_TOLD = re.compile(
    r"memory|alloc|start new thread|quantization error"
    r"|encoding ?error:? [12]\b|muxerror: -3\b|assembling webp"
    r"|could not (assemble|initialise|re-mux|create encoder|create mux)|encoding of \w+ planes? failed"
    r"|codec configuration error when writing",
    re.IGNORECASE,
)
"""The messages of Python, Pillow, libwebp and libavif in that case, as observed under small limits and as listed in
their sources. Some only name a step that cannot fail for any other reason. Of libwebp's codes, 1 and 2 are
``VP8_ENC_ERROR_OUT_OF_MEMORY`` and ``VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY``, -3 is ``WEBP_MUX_MEMORY_ERROR``."""


def ran_out_of_memory(exc: Exception) -> bool:
    """Whether a codec raised this for lack of memory."""
    return isinstance(exc, MemoryError) or _TOLD.search(str(exc)) is not None


def ensure_room(size: int) -> None:
    """Raise ``MemoryError`` unless a library may allocate this many bytes now.

    Another thread, such as the second encoder, may take the room before the library does; if that ends the process, the
    attempt fails as ``image_crashed``.
    """
    block = _libc.malloc(size)
    if block is None:
        raise MemoryError
    _libc.free(block)
