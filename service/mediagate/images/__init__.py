"""Everything that touches pixels; the only importer of Pillow and pillow_heif."""

from PIL.Image import Image, Transpose

from mediagate.images.colour import eight_bit, flattened, opaque, to_srgb
from mediagate.images.decode import Decoded, decode, probe, turned, upright
from mediagate.images.encode import encode, encode_original
from mediagate.images.formats import check_libheif, check_pillow, codecs, lift_pixel_limit, limit_threads
from mediagate.images.picture import PixelPicture, dominant_color, jpeg_of, pictures
from mediagate.images.resize import resized, within
from mediagate.images.sizes import Shown, aspect_ratio, largest, plan

__all__ = [
    "Decoded",
    "Image",
    "PixelPicture",
    "Shown",
    "Transpose",
    "aspect_ratio",
    "check_libheif",
    "check_pillow",
    "codecs",
    "decode",
    "dominant_color",
    "eight_bit",
    "encode",
    "encode_original",
    "flattened",
    "jpeg_of",
    "largest",
    "lift_pixel_limit",
    "limit_threads",
    "opaque",
    "pictures",
    "plan",
    "probe",
    "resized",
    "to_srgb",
    "turned",
    "upright",
    "within",
]
