"""What operations cost, in one table: ``python -m bench.operations --costs`` on a photo of 12 MP, rounded up.

CPU nanoseconds per pixel on an idle core of 2024 with the extra ``fast``, and bytes per pixel in addition to the frames
before and after the step, with alpha. A pixel counts in the larger of both. A file of noise takes up to three times as
long to encode.
"""

from __future__ import annotations

from collections.abc import Mapping

from mediagate.images.operations.operation import PageRate, Rate

RATES: Mapping[str, Rate] = {
    "orient": Rate(0, 0),
    "resize": Rate(10, 8),
    "crop": Rate(2, 4),
    "rotate": Rate(60, 20),
    "flip": Rate(4, 4),
    "mirror": Rate(4, 4),
    "deskew": Rate(110, 24),
    "straighten": Rate(75, 24),
    "trim": Rate(10, 12),
    "pad": Rate(3, 4),
    "extend_canvas": Rate(3, 4),
    "change_dimensions": Rate(10, 8),
    "look": Rate(22, 12),
    "lut": Rate(22, 12),
    "blur": Rate(40, 12),
    "sharpen": Rate(45, 16),
    "pixelate": Rate(6, 12),
    "vignette": Rate(10, 16),
    "grain": Rate(13, 18),
    "read_metadata": Rate(0, 0),
    "set_metadata": Rate(0, 0),
    "strip_metadata": Rate(0, 0),
    "watermark": Rate(10, 12),
    "render": Rate(25, 12),
    "read_text": Rate(2, 0),
    "auto_contrast": Rate(10, 12),
    "white_balance": Rate(8, 12),
    "denoise": Rate(16, 16),
    "low_light": Rate(20, 20),
    "clahe": Rate(14, 20),
    "upscale": Rate(60, 18),
}
SEGMENTING = PageRate(frame_ms=60, ns=18, most_pixels=2**31, least_bytes=60_000_000, bytes=16)
"""``remove_background``: the mask of a frame takes the same time for any size, and all pixels are masked."""
ENLARGING, TILE_BYTES = Rate(3000, 16), 80_000_000
"""``upscale`` by its model, and the memory for a tile."""
SAVING: Mapping[str, Rate] = {
    "webp": Rate(120, 22),
    "avif": Rate(550, 48),
    "jpeg": Rate(35, 11),
    "png": Rate(350, 11),
    "gif": Rate(300, 21),
    "pdf": Rate(35, 11),
}
"""The same for one encoding at quality 80 and effort 4, by format."""
READING = PageRate(frame_ms=300, ns=2200, most_pixels=1_250_000, least_bytes=320_000_000, bytes=6)
"""Reading a page of 40 lines with ``ocr`` and RapidOCR. The models are not counted."""
RECOMPRESSING = Rate(1200, 40)
"""Lossless recompression of a PNG."""
LOSSLESS_WEBP_BYTES = 35.0
"""Bytes per pixel of a WebP without loss."""
