"""What operations cost, in one table: measured by ``python -m bench.operations --costs``, rounded up.

CPU nanoseconds per pixel on an idle core of 2024 with the extra ``fast``, and bytes per pixel in addition to the frames
before and after the step. A pixel counts in the larger of both.
"""

from __future__ import annotations

from collections.abc import Mapping

from mediagate.images.operations.operation import Rate

RATES: Mapping[str, Rate] = {
    "orient": Rate(0, 0),
    "resize": Rate(25, 8),
    "crop": Rate(25, 4),
    "rotate": Rate(120, 12),
    "flip": Rate(6, 4),
    "mirror": Rate(6, 4),
    "deskew": Rate(160, 12),
    "straighten": Rate(120, 12),
    "trim": Rate(12, 8),
    "pad": Rate(6, 4),
    "extend_canvas": Rate(6, 4),
    "change_dimensions": Rate(25, 8),
    "look": Rate(30, 4),
    "lut": Rate(30, 4),
    "blur": Rate(60, 8),
    "sharpen": Rate(80, 8),
    "pixelate": Rate(10, 8),
    "vignette": Rate(20, 8),
    "grain": Rate(30, 12),
    "read_metadata": Rate(0, 0),
    "set_metadata": Rate(0, 0),
    "strip_metadata": Rate(0, 0),
    "watermark": Rate(40, 12),
}
SAVING: Mapping[str, Rate] = {
    "webp": Rate(120, 35),
    "avif": Rate(400, 48),
    "jpeg": Rate(30, 8),
    "png": Rate(120, 11),
    "gif": Rate(150, 12),
    "pdf": Rate(30, 8),
}
"""The same for one encoding at quality 80 and effort 4, by format."""
RECOMPRESSING = Rate(700, 30)
"""Lossless recompression of a PNG."""
