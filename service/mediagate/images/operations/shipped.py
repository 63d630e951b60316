"""The operations that mediagate brings."""

from __future__ import annotations

from typing import Any

from mediagate.images.operations.document.read_text import READ_TEXT
from mediagate.images.operations.document.render import RENDER
from mediagate.images.operations.enhance.auto_contrast import AUTO_CONTRAST
from mediagate.images.operations.enhance.clahe import CLAHE
from mediagate.images.operations.enhance.denoise import DENOISE
from mediagate.images.operations.enhance.low_light import LOW_LIGHT
from mediagate.images.operations.enhance.remove_background import REMOVE_BACKGROUND
from mediagate.images.operations.enhance.upscale import UPSCALE
from mediagate.images.operations.enhance.white_balance import WHITE_BALANCE
from mediagate.images.operations.filter.blur import BLUR
from mediagate.images.operations.filter.grain import GRAIN
from mediagate.images.operations.filter.look import LOOK
from mediagate.images.operations.filter.lut import LUT
from mediagate.images.operations.filter.pixelate import PIXELATE
from mediagate.images.operations.filter.sharpen import SHARPEN
from mediagate.images.operations.filter.vignette import VIGNETTE
from mediagate.images.operations.metadata.read_metadata import READ_METADATA
from mediagate.images.operations.metadata.set_metadata import SET_METADATA
from mediagate.images.operations.metadata.strip_metadata import STRIP_METADATA
from mediagate.images.operations.ocr.ocr import OCR
from mediagate.images.operations.operation import Operation
from mediagate.images.operations.output.save import SAVE_FILE
from mediagate.images.operations.output.watermark import WATERMARK
from mediagate.images.operations.registry import Operations
from mediagate.images.operations.transform.change_dimensions import CHANGE_DIMENSIONS
from mediagate.images.operations.transform.crop import CROP
from mediagate.images.operations.transform.deskew import DESKEW
from mediagate.images.operations.transform.extend_canvas import EXTEND_CANVAS
from mediagate.images.operations.transform.flip import FLIP
from mediagate.images.operations.transform.mirror import MIRROR
from mediagate.images.operations.transform.orient import ORIENT
from mediagate.images.operations.transform.pad import PAD
from mediagate.images.operations.transform.resize import RESIZE
from mediagate.images.operations.transform.rotate import ROTATE
from mediagate.images.operations.transform.straighten import STRAIGHTEN
from mediagate.images.operations.transform.trim import TRIM

STANDARD: tuple[Operation[Any], ...] = (
    RENDER,
    READ_TEXT,
    ORIENT,
    RESIZE,
    CROP,
    ROTATE,
    FLIP,
    MIRROR,
    DESKEW,
    STRAIGHTEN,
    TRIM,
    PAD,
    EXTEND_CANVAS,
    CHANGE_DIMENSIONS,
    LOOK,
    LUT,
    BLUR,
    SHARPEN,
    PIXELATE,
    VIGNETTE,
    GRAIN,
    AUTO_CONTRAST,
    WHITE_BALANCE,
    DENOISE,
    LOW_LIGHT,
    CLAHE,
    REMOVE_BACKGROUND,
    UPSCALE,
    WATERMARK,
    READ_METADATA,
    SET_METADATA,
    STRIP_METADATA,
    OCR,
    SAVE_FILE,
)


def standard() -> Operations:
    """Return a new registry of all operations that mediagate brings."""
    return Operations(STANDARD)
