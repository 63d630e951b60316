"""Everything that touches pixels; the only importer of Pillow and pillow_heif."""

from PIL.Image import Image

from mediagate.images.colour import Profile, eight_bit, flattened, opaque, read_profile, to_srgb
from mediagate.images.decode import Decoded, decode, probe
from mediagate.images.encode import encode, encode_original
from mediagate.images.formats import check_pillow, codecs, lift_pixel_limit, limit_threads
from mediagate.images.picture import PixelPicture, dominant_color, pictures
from mediagate.images.resize import Shown, aspect_ratio, largest_scale, resized, shown, within

__all__ = [
    "Decoded",
    "Image",
    "PixelPicture",
    "Profile",
    "Shown",
    "aspect_ratio",
    "check_pillow",
    "codecs",
    "decode",
    "dominant_color",
    "eight_bit",
    "encode",
    "encode_original",
    "flattened",
    "largest_scale",
    "lift_pixel_limit",
    "limit_threads",
    "opaque",
    "pictures",
    "probe",
    "read_profile",
    "resized",
    "shown",
    "to_srgb",
    "within",
]
