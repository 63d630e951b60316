"""How libraries say that they ran out of memory: few of them raise ``MemoryError``."""

from __future__ import annotations

import re

_TOLD = re.compile(
    r"memory|alloc|start new thread|quantization error|encoding error [12]\b|create encoder|planes failed",
    re.IGNORECASE,
)
"""What is in the messages of Python, Pillow and its codecs then, as seen under small limits. ``[12]`` are libwebp's
``VP8_ENC_ERROR_OUT_OF_MEMORY`` and ``VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY``; the last three are libwebp's and
libavif's, whose encoders say no more, and Pillow's quantization fails for nothing else."""


def ran_out_of_memory(exc: Exception) -> bool:
    """Whether a codec raised this for lack of memory."""
    return isinstance(exc, MemoryError) or _TOLD.search(str(exc)) is not None
