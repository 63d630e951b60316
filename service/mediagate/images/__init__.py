"""Everything that touches pixels; the only importer of Pillow."""

from mediagate.images.colour import flattened, to_srgb
from mediagate.images.decode import Decoded, decode, opened, probe
from mediagate.images.encode import encode, encode_original
from mediagate.images.formats import check_pillow, codecs
from mediagate.images.metadata import found
from mediagate.images.picture import PixelPicture, dominant_color, pictures
from mediagate.images.resize import aspect_ratio, resized, target, within

__all__ = [
    "Decoded",
    "PixelPicture",
    "aspect_ratio",
    "check_pillow",
    "codecs",
    "decode",
    "dominant_color",
    "encode",
    "encode_original",
    "flattened",
    "found",
    "opened",
    "pictures",
    "probe",
    "resized",
    "target",
    "to_srgb",
    "within",
]
