"""Recognizing that a library ran out of memory: few libraries raise ``MemoryError``."""

from __future__ import annotations

import re

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
