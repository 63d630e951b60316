"""From files to pixels and back; with ``operations`` the only importer of Pillow, and the only one of pillow_heif."""

from PIL.Image import Image, Transpose

from mediagate.images.pixels.colour import flattened, opaque, without_invisible
from mediagate.images.pixels.decode import Decoded, decode, probe
from mediagate.images.pixels.encode import encode, encode_original, paletted, published_format
from mediagate.images.pixels.encoding_time import EncodingTime
from mediagate.images.pixels.exif import exif_of
from mediagate.images.pixels.flipbook import gif_of
from mediagate.images.pixels.formats import (
    LABELS,
    MAX_EDGE,
    accepted,
    check_head,
    check_libheif,
    check_pillow,
    codecs,
    lift_pixel_limit,
    limit_threads,
)
from mediagate.images.pixels.guard import final
from mediagate.images.pixels.igzip import usable as has_igzip
from mediagate.images.pixels.lanczos import usable as has_simd
from mediagate.images.pixels.libwebp import usable as has_libwebp
from mediagate.images.pixels.picture import PixelPicture, count_looks, dominant_color, jpeg_of, looks, mean
from mediagate.images.pixels.resize import cut, resized, square, within
from mediagate.images.pixels.sizes import Box, Crop, aspect_ratio, largest, plan

__all__ = [
    "LABELS",
    "MAX_EDGE",
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
    "exif_of",
    "final",
    "flattened",
    "gif_of",
    "has_igzip",
    "has_libwebp",
    "has_simd",
    "jpeg_of",
    "largest",
    "lift_pixel_limit",
    "limit_threads",
    "looks",
    "mean",
    "opaque",
    "paletted",
    "plan",
    "probe",
    "published_format",
    "resized",
    "square",
    "within",
    "without_invisible",
]
