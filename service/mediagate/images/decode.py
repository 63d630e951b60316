"""From bytes to upright frames, under the limits of a source."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image, ImageOps, UnidentifiedImageError

from mediagate.config import Source
from mediagate.errors import AnimationRefused, ImageTooLarge, MediagateError, UndecodableImage
from mediagate.images.formats import FORMATS, accepted, not_decodable
from mediagate.media import ImageInfo

ANIMATED = ("gif", "webp", "png", "avif")
"""Formats whose further frames are an animation; in the others they are other pictures."""
ORIENTATION = 0x0112
SWAPPED = (5, 6, 7, 8)
"""EXIF orientations in which width and height change places."""
DEFAULT_FRAME_MS = 100


@dataclass(slots=True)
class Decoded:
    """Upright frames in the file's own colours; ``durations_ms`` has one entry a frame, ``loop`` 0 is for ever."""

    format: str
    frames: list[Image.Image]
    icc: bytes | None
    durations_ms: list[int]
    loop: int
    quantization: dict[int, list[int]] | None = None
    subsampling: int = -1

    @property
    def first(self) -> Image.Image:
        """The first frame."""
        return self.frames[0]


def probe(path: Path, source: Source) -> ImageInfo:
    """Return what the header says, checked against the limits; decodes no pixels."""
    with path.open("rb") as file, _opened(file, file.read(64)) as image:
        return _info(image, source)


@contextmanager
def opened(data: bytes, source: Source) -> Iterator[tuple[Image.Image, ImageInfo]]:
    """Open an image whose header keeps the limits; what goes wrong inside the block is told as one of our errors."""
    with _opened(io.BytesIO(data), data[:64]) as image:
        info = _info(image, source)
        if info.format == "png":
            # Decoding does not look at the checksums of the pixel data, and closes the file it has verified.
            with Image.open(io.BytesIO(data), formats=["PNG"]) as checked:
                checked.verify()
        elif info.format in ("avif", "heic") and not _boxes_complete(data):
            raise UndecodableImage("the file is incomplete")
        yield image, info


def decode(image: Image.Image, info: ImageInfo) -> Decoded:
    """Decode the frames that the source wants and turn them upright, once, before anything else sees them."""
    icc = image.info.get("icc_profile") or None
    loop = int(image.info.get("loop", 0 if info.format != "gif" else 1))
    decoded = Decoded(info.format, [], icc, [], loop)
    for number in range(info.frames):
        if info.format in ANIMATED and number:
            _seek(image, number)
        image.load()
        decoded.durations_ms.append(int(image.info.get("duration") or DEFAULT_FRAME_MS))
        decoded.frames.append(_upright(image))
    if info.format == "gif" and info.frames == 1 and getattr(image, "is_animated", False):
        _seek(image, 1)
    if info.format == "jpeg":
        decoded.quantization = getattr(image, "quantization", None)
        decoded.subsampling = _subsampling(image)
    return decoded


def _seek(image: Image.Image, number: int) -> None:
    """Go to a frame; one that lies outside the first would make the picture grow beyond what the header promised."""
    size = image.size
    image.seek(number)
    if image.size != size:
        raise ImageTooLarge("a later frame of the animation lies outside its first")


@contextmanager
def _opened(file: IO[bytes], head: bytes) -> Iterator[Image.Image]:
    file.seek(0)
    try:
        with Image.open(file, formats=accepted()) as image:
            yield image
    except MediagateError:
        raise
    except UnidentifiedImageError:
        raise not_decodable(head) from None
    except MemoryError:
        raise ImageTooLarge("the picture needs more memory than one image may use") from None
    except Exception as exc:
        # Decoders raise whatever their author thought of on hostile input: OSError, ValueError, SyntaxError,
        # struct.error, IndexError, EOFError, RuntimeError and more have all been seen.
        raise UndecodableImage(f"the file is damaged or incomplete ({type(exc).__name__})") from exc


def _info(image: Image.Image, source: Source) -> ImageInfo:
    image_format = FORMATS[image.format or ""]
    width, height = image.size
    if width * height > source.max_pixels:
        raise ImageTooLarge(f"the picture has {width} x {height} pixels; {source.max_pixels:,} are accepted")
    if _orientation(image) in SWAPPED:
        width, height = height, width
    return ImageInfo(image_format, width, height, _frames(image, image_format, source))


def _frames(image: Image.Image, image_format: str, source: Source) -> int:
    """Return how many frames shall be decoded."""
    if image_format not in ANIMATED or not getattr(image, "is_animated", False):
        return 1
    if source.animation == "reject":
        raise AnimationRefused("animated pictures are not accepted here; send a still one")
    if source.animation == "first_frame":
        return 1
    frames = int(getattr(image, "n_frames", 1))
    if frames > source.max_frames:
        raise ImageTooLarge(f"the animation has {frames} frames; {source.max_frames} are accepted")
    pixels = frames * image.width * image.height
    if pixels > source.max_animation_pixels:
        raise ImageTooLarge(f"the animation has {pixels:,} pixels in all; {source.max_animation_pixels:,} are accepted")
    return frames


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the whole picture to look behind it
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:
        return 1  # broken EXIF does not make the pixels worse


def _upright(image: Image.Image) -> Image.Image:
    """Return a copy of the current frame, turned as its EXIF says, that carries no metadata."""
    try:
        upright = ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:
        upright = image.copy()
    if upright is image:
        upright = image.copy()
    transparency = upright.info.get("transparency")
    upright.info = {} if transparency is None else {"transparency": transparency}
    return upright


def _boxes_complete(data: bytes) -> bool:
    """Whether each top-level box ends inside the file (ISO/IEC 14496-12, 4.2); decoders shrug a missing end off."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        if size == 0:
            return True
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16])
        if size < 8:
            return False
        at += size
    return at == len(data)


def _subsampling(image: Image.Image) -> int:
    from PIL import JpegImagePlugin

    return JpegImagePlugin.get_sampling(image) if isinstance(image, JpegImagePlugin.JpegImageFile) else -1
