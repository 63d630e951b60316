"""From bytes to plain upright frames, under the limits of a source."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image, JpegImagePlugin, UnidentifiedImageError
from PIL.Image import DecompressionBombError, DecompressionBombWarning, Transpose

from mediagate.config import Source
from mediagate.errors import AnimationRefused, ImageTooLarge, MediagateError
from mediagate.images.budget import check_budget
from mediagate.images.colour import with_alpha
from mediagate.images.formats import FORMATS, accepted, damaged, not_decodable
from mediagate.images.metadata import ORIENTATION, found
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
SWAPPED = (5, 6, 7, 8)
"""EXIF orientations in which width and height change places."""
DEFAULT_FRAME_MS = 100
"""What browsers show for a frame that says 0."""


@dataclass(slots=True)
class Decoded:
    """Upright frames in the file's own colours, free of everything but pixels, and how they were stored.

    ``durations_ms`` has one entry a frame, ``plays`` 0 is for ever; ``removed`` names the metadata that was there.
    """

    info: ImageInfo
    frames: list[Image.Image]
    icc: bytes | None
    durations_ms: list[int]
    plays: int
    removed: tuple[str, ...]
    quantization: dict[int, list[int]] | None = None
    subsampling: int = -1
    progressive: bool = False
    lossless: bool = False


def probe(path: Path, source: Source, memory_bytes: int | None = None) -> ImageInfo:
    """Return what the header says, checked against the limits; decodes no pixels."""
    with path.open("rb") as file, _opened(file, source, memory_bytes) as image:
        info = _info(image, source)
        check_budget(info, source, memory_bytes)
        return info


def decode(data: bytes, source: Source, memory_bytes: int | None = None) -> Decoded:
    """Decode the frames that the source wants and turn them upright, once, before anything else sees them.

    Raises ``UnsupportedType``, ``UndecodableImage``, ``ImageTooLarge`` and ``AnimationRefused``.
    """
    with _opened(io.BytesIO(data), source, memory_bytes) as image:
        info = _info(image, source)
        check_complete(data, info.format)
        lossless = info.format == "webp" and is_lossless_webp(data)
        check_budget(info, source, memory_bytes, lossless=lossless)
        frames, durations_ms = _frames(image, info, source)
        jpeg = image if isinstance(image, JpegImagePlugin.JpegImageFile) else None
        return Decoded(
            info=ImageInfo(info.format, *frames[0].size, len(frames)),
            frames=frames,
            icc=image.info.get("icc_profile") or None,
            durations_ms=durations_ms,
            plays=_plays(image, info.format),
            removed=found(image),
            quantization=jpeg.quantization if jpeg else None,
            subsampling=JpegImagePlugin.get_sampling(jpeg) if jpeg else -1,
            progressive="progressive" in image.info,
            lossless=lossless,
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
        raise ImageTooLarge("the picture needs more memory than one image may use") from None
    except Exception as exc:
        # Decoders raise whatever their author thought of on hostile input: OSError, ValueError, SyntaxError,
        # struct.error, IndexError, EOFError, RuntimeError and more have all been seen.
        raise damaged() from exc


def _info(image: Image.Image, source: Source) -> ImageInfo:
    image_format = FORMATS[image.format or ""]
    width, height = image.size
    _check_size(width, height, source)
    if _orientation(image) in SWAPPED:
        width, height = height, width
    return ImageInfo(image_format, width, height, _count(image, image_format, source))


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
        first = _plain(image)
        if info.format == "gif" and getattr(image, "is_animated", False):
            image.seek(1)  # not shown, yet a file is refused that would make it grow beyond all limits
            _check_size(*image.size, source)
        return [first], [0]
    frames, durations_ms, pixels = [], [], 0
    # An APNG may begin with a still for programs that cannot animate; it is no part of the animation.
    for number in range(1 if getattr(image, "default_image", False) else 0, info.frames):
        image.seek(number)
        # A later GIF frame may reach beyond the canvas of the header, and makes it grow.
        _check_size(*image.size, source)
        pixels += image.width * image.height
        _check_animation(pixels, source)
        image.load()
        frames.append(with_alpha(_plain(image)))
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


def _plain(image: Image.Image) -> Image.Image:
    """Return a copy of the current frame, turned upright, that carries no metadata."""
    turn = UPRIGHT.get(_orientation(image))
    plain = image.copy() if turn is None else image.transpose(turn)
    transparency = image.info.get("transparency")
    plain.info = {} if transparency is None or plain.mode in ("RGBA", "LA") else {"transparency": transparency}
    return plain


def _plays(image: Image.Image, image_format: str) -> int:
    """Return how often the animation is shown in all; 0 is for ever."""
    if image_format == "gif":
        repeats = image.info.get("loop")  # told as repeats after the first time; nothing told: none
        return 1 if repeats is None else (int(repeats) + 1 if repeats else 0)
    return int(image.info.get("loop", 0))
