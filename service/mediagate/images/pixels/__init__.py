"""All code that touches pixels; the only importer of Pillow and pillow_heif."""

from PIL.Image import Image, Transpose

from mediagate.images.pixels.colour import flattened
from mediagate.images.pixels.decode import Decoded, decode, probe
from mediagate.images.pixels.encode import encode, encode_original, published_format
from mediagate.images.pixels.encoding_time import EncodingTime
from mediagate.images.pixels.formats import (
    accepted,
    check_head,
    check_libheif,
    check_pillow,
    codecs,
    lift_pixel_limit,
    limit_threads,
)
from mediagate.images.pixels.guard import final
from mediagate.images.pixels.picture import PixelPicture, count_looks, dominant_color, jpeg_of, looks, mean
from mediagate.images.pixels.resize import cut, fast, resized, square, within
from mediagate.images.pixels.sizes import Box, Crop, aspect_ratio, largest, plan

__all__ = [
    "Box",
    "Crop",
    "Decoded",
    "EncodingTime",
    "Image",
    "PixelPicture",
    "Transpose",
    "accepted",
    "aspect_ratio",
    "check_head",
    "check_libheif",
    "check_pillow",
    "codecs",
    "count_looks",
    "cut",
    "decode",
    "dominant_color",
    "encode",
    "encode_original",
    "fast",
    "final",
    "flattened",
    "jpeg_of",
    "largest",
    "lift_pixel_limit",
    "limit_threads",
    "looks",
    "mean",
    "plan",
    "probe",
    "published_format",
    "resized",
    "square",
    "within",
]
