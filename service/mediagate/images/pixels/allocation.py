"""How libraries say that they ran out of memory: few of them raise ``MemoryError``."""

from __future__ import annotations

import re

_TOLD = re.compile(
    r"memory|alloc|start new thread|quantization error"
    r"|encoding ?error:? [12]\b|muxerror: -3\b|assembling webp"
    r"|could not (assemble|initialise|re-mux|create encoder|create mux)|encoding of \w+ planes? failed",
    re.IGNORECASE,
)
"""What Python, Pillow, libwebp and libavif say then, as seen under small limits and as their messages read; some of
them say no more than that they failed at what fails for nothing else. Of libwebp's codes 1 and 2 are
``VP8_ENC_ERROR_OUT_OF_MEMORY`` and ``VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY``, -3 is ``WEBP_MUX_MEMORY_ERROR``."""


def ran_out_of_memory(exc: Exception) -> bool:
    """Whether a codec raised this for lack of memory."""
    return isinstance(exc, MemoryError) or _TOLD.search(str(exc)) is not None
