"""From bytes to plain frames, under the limits of a source, with no more pixels than it needs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from PIL import Image, JpegImagePlugin, UnidentifiedImageError
from PIL.Image import DecompressionBombError, DecompressionBombWarning, Transpose

from mediagate.config import Source
from mediagate.errors import AnimationRefused, ImageTooLarge, MediagateError
from mediagate.images import jpeg
from mediagate.images.budget import check_budget
from mediagate.images.colour import Profile, eight_bit, read_profile, with_alpha
from mediagate.images.formats import FORMATS, accepted, damaged, not_decodable
from mediagate.images.metadata import ORIENTATION, found
from mediagate.images.sizes import Box, largest, plan
from mediagate.images.structure import check_complete, is_lossless_webp, webp_size
from mediagate.media import ImageInfo

ANIMATED = ("gif", "webp", "png", "avif")
"""Formats whose further frames are an animation; in the others they are other pictures."""
UPRIGHT: Mapping[int, Transpose] = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation (Exif 2.32, section 4.6.4)."""
SIDEWAYS = (Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)
"""Turns in which width and height change places."""
DEFAULT_FRAME_MS = 100
"""What browsers show for a frame that says 0."""


@dataclass(slots=True)
class Decoded:
    """Frames in the file's own colours, free of everything but pixels, and how they were stored.

    ``info`` tells the size of the whole picture when it is upright; ``frames`` may be smaller, but no smaller than the
    variants of the source, and become upright by ``turn``. ``durations_ms`` has one entry a frame, ``plays`` 0 is for
    ever; ``removed`` names the metadata that was there.
    """

    info: ImageInfo
    frames: list[Image.Image]
    turn: Transpose | None
    profile: Profile | None
    durations_ms: list[int]
    plays: int
    removed: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    filled: Box | None = None
    """The part of a frame that the picture fills: a scaled JPEG's last row and column may reach beyond it."""
    picture: bytes | None = None
    """The bare coded picture of a JPEG whose original is to be a copy of it."""
    orientation: int = 1
    quantization: dict[int, list[int]] | None = None
    subsampling: int = -1
    progressive: bool = False
    lossless: bool = False


def probe(file: IO[bytes], source: Source, memory_bytes: int | None = None) -> ImageInfo:
    """Return what the header says, checked against the limits; decodes no pixels."""
    with _opened(file, source, memory_bytes) as image:
        info = _info(image, source)
        check_budget(info, source, memory_bytes)
        return info


def decode(data: bytes, source: Source, memory_bytes: int | None = None) -> Decoded:
    """Decode the frames that the source wants, once, before anything else sees them.

    Raises ``UnsupportedType``, ``UndecodableImage``, ``ImageTooLarge`` and ``AnimationRefused``.
    """
    with _opened(io.BytesIO(data), source, memory_bytes) as image:
        info = _info(image, source)
        check_complete(data, info.format)
        lossless = info.format == "webp" and is_lossless_webp(data)
        check_budget(info, source, memory_bytes, lossless=lossless)
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            return _decode_jpeg(image, data, info, source)
        frames, durations_ms = _frames(image, info, source)
        warnings: list[str] = []
        icc, turn = _icc(image), UPRIGHT.get(_orientation(image))
        decoded = Decoded(
            info=ImageInfo(info.format, *turned(frames[0].size, turn), len(frames)),
            frames=frames,
            turn=turn,
            profile=read_profile(icc, eight_bit(frames[0]), warnings) if icc else None,
            durations_ms=durations_ms,
            plays=_plays(image, info.format),
            removed=found(image),
            warnings=tuple(warnings),
            lossless=lossless,
        )
        for frame in frames:
            _strip(frame)
        return decoded


def upright(image: Image.Image, turn: Transpose | None) -> Image.Image:
    """Return the picture as its camera was held."""
    return image if turn is None else image.transpose(turn)


def _decode_jpeg(image: JpegImagePlugin.JpegImageFile, data: bytes, info: ImageInfo, source: Source) -> Decoded:
    """Decode a JPEG at the smallest scale that covers the variants, unless its original must be made of its pixels."""
    warnings: list[str] = []
    removed, orientation = found(image), _orientation(image)
    turn = UPRIGHT.get(orientation)
    icc = _icc(image)
    profile = read_profile(icc, Image.new(image.mode, (1, 1)), warnings) if icc else None
    picture = None
    if source.original == "keep" and (profile is None or (profile.is_harmless and profile.fits(image))):
        picture = jpeg.bare(data)
        if picture is not None:
            # What is published is what is decoded and judged, not the file that it came from.
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(picture))
    scaled = None
    if picture is not None or source.original == "delete":
        whole = (info.width, info.height)
        scaled = image.draft(None, turned(largest(whole, plan(whole, source).values()), turn))
    image.load()
    progressive = "progressive" in image.info
    _strip(image)
    return Decoded(
        info=info,
        frames=[image],
        turn=turn,
        filled=scaled[1] if scaled else None,
        profile=profile,
        durations_ms=[0],
        plays=0,
        removed=removed,
        warnings=tuple(warnings),
        picture=picture,
        orientation=orientation,
        quantization=image.quantization,
        subsampling=JpegImagePlugin.get_sampling(image),
        progressive=progressive,
    )


@contextmanager
def _opened(file: IO[bytes], source: Source, memory_bytes: int | None) -> Iterator[Image.Image]:
    """Open an image; whatever a decoder does inside the block is told as one of our errors."""
    head = file.read(64)
    file.seek(0)
    if size := webp_size(head):
        _check_size(*size, source)
        check_budget(ImageInfo("webp", *size), source, memory_bytes)
    try:
        with Image.open(file, formats=accepted()) as image:
            yield image
    except MediagateError:
        raise
    except UnidentifiedImageError:
        raise not_decodable(head) from None
    except (MemoryError, DecompressionBombError, DecompressionBombWarning):
        raise ImageTooLarge("the picture needs more memory than one image may use; send a smaller one") from None
    except Exception as exc:
        # Decoders raise whatever their author thought of on hostile input: OSError, ValueError, SyntaxError,
        # struct.error, IndexError, EOFError, RuntimeError and more have all been seen.
        raise damaged() from exc


def _info(image: Image.Image, source: Source) -> ImageInfo:
    image_format = FORMATS[image.format or ""]
    _check_size(*image.size, source)
    upright_size = turned(image.size, UPRIGHT.get(_orientation(image)))
    return ImageInfo(image_format, *upright_size, _count(image, image_format, source))


def _check_size(width: int, height: int, source: Source) -> None:
    if width * height > source.max_pixels:
        raise ImageTooLarge(f"the picture has {width} x {height} pixels; up to {source.max_pixels:,} are accepted")


def _count(image: Image.Image, image_format: str, source: Source) -> int:
    """Return how many frames are to be decoded."""
    if image_format not in ANIMATED or not getattr(image, "is_animated", False):
        return 1
    if source.animation == "reject":
        raise AnimationRefused("animated pictures are not accepted here; send a still one")
    if source.animation == "first_frame":
        return 1
    frames = int(getattr(image, "n_frames", 1))
    if frames > source.max_frames:
        raise ImageTooLarge(f"the animation has {frames} frames; up to {source.max_frames} are accepted")
    _check_animation(frames * image.width * image.height, source)
    return frames


def _check_animation(pixels: int, source: Source) -> None:
    if pixels > source.max_animation_pixels:
        raise ImageTooLarge(
            f"the animation's frames have {pixels:,} pixels; up to {source.max_animation_pixels:,} are accepted"
        )


def _frames(image: Image.Image, info: ImageInfo, source: Source) -> tuple[list[Image.Image], list[int]]:
    if info.frames == 1:
        image.load()
        if info.format == "gif" and getattr(image, "is_animated", False):
            first = image.copy()
            image.seek(1)  # not shown, yet a file is refused that would make it grow beyond all limits
            _check_size(*image.size, source)
            return [first], [0]
        return [image], [0]
    frames, durations_ms, pixels = [], [], 0
    # An APNG may begin with a still for programs that cannot animate; it is no part of the animation.
    for number in range(1 if getattr(image, "default_image", False) else 0, info.frames):
        image.seek(number)
        # A later GIF frame may reach beyond the canvas of the header, and makes it grow.
        _check_size(*image.size, source)
        pixels += image.width * image.height
        _check_animation(pixels, source)
        image.load()
        frames.append(with_alpha(image.copy()))
        durations_ms.append(round(image.info.get("duration") or DEFAULT_FRAME_MS))
    if all(frame.getchannel("A").getextrema() == (255, 255) for frame in frames):
        for at, frame in enumerate(frames):  # one at a time, so that only one is held twice
            frames[at] = frame.convert("RGB")
    if len({frame.size for frame in frames}) > 1:
        raise damaged()
    return frames, durations_ms


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the whole picture to look behind it
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:
        return 1  # broken EXIF does not make the pixels worse


def _strip(image: Image.Image) -> None:
    """Take everything away from a decoded picture that is not pixels."""
    transparency = image.info.get("transparency")
    image.info = {} if transparency is None or image.mode in ("RGBA", "LA") else {"transparency": transparency}


def _icc(image: Image.Image) -> bytes | None:
    return image.info.get("icc_profile") or None


def turned(size: tuple[int, int], turn: Transpose | None) -> tuple[int, int]:
    """Return a size after a turn, which is also the size before it."""
    return (size[1], size[0]) if turn in SIDEWAYS else size


def _plays(image: Image.Image, image_format: str) -> int:
    """Return how often the animation is shown in all; 0 is for ever."""
    if image_format == "gif":
        repeats = image.info.get("loop")  # told as repeats after the first time; nothing told: none
        return 1 if repeats is None else (int(repeats) + 1 if repeats else 0)
    return int(image.info.get("loop", 0))
