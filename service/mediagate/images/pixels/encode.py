"""From pixels to files. Encoders receive pixels, and EXIF that was made here: nothing else gets into a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageChops

from mediagate.errors import UndecodableImage
from mediagate.images.pixels import igzip
from mediagate.images.pixels.allocation import ran_out_of_memory
from mediagate.images.pixels.colour import flattened
from mediagate.images.pixels.decode import Decoded
from mediagate.images.pixels.encoding_time import EXACT_S_A_PIXEL, EncodingTime
from mediagate.images.pixels.fidelity import shows
from mediagate.images.pixels.formats import MAX_EDGE
from mediagate.images.pixels.icc import display_p3_profile

ENDLESS = EncodingTime()
WHITE = (255, 255, 255)
LOSSY = ("webp", "avif", "jpeg")
ANIMATES = ("webp", "png", "avif")
MOST_PLAYS = 65535
"""WebP counts plays in 16 bits (RFC 9649, section 2.7.1.1)."""
LONGEST_FRAME_MS: Mapping[str, int] = {"webp": 2**24 - 1, "png": 65535, "avif": 2**24 - 1}
"""WebP counts a frame's milliseconds in 24 bits (section 2.7.1.1), APNG in 16 (PNG, third edition, section 11.3.6)."""
ROOMIER: Mapping[str, Mapping[str, Any]] = {
    "jpeg": {"optimize": False, "progressive": False},
    "webp": {"method": 2},
}
"""Options for large pictures that are nearly noise: Pillow's buffer for optimized JPEGs, and the first partition of
WebP at efforts 0 and 1, are too small for them."""
TINY_EDGE, FLAT_COLOURS = 64, 256
"""Pictures up to this many pixels wide and high, or with at most this many colours, are written without loss where that
is not larger. Pictures that are both always are: lossy encoders miss the colour of a few pixels by many levels."""
PUBLISHED_AS = {"heic": "jpeg"}
"""Browsers do not show HEIC."""
PNG_LEVELS = (1, 1, 2, 2, 3, 6, 9)
"""Levels of zlib by effort. For photos, level 3 takes two fifths of the time of level 6 and makes 1 to 6 % more bytes;
level 9 takes two to three times the time and makes 1 to 3 % less."""
QUICK_PNG = 2
"""The highest level in whose place igzip compresses, where it is there: about the same bytes in a fifth of the time."""
FEW_PIXELS = 2_000_000
"""Pixels up to which lossless WebP is optimized for size: that takes 1.5 microseconds a pixel and more, instead of
0.08."""
QUICK_LOSSLESS: Mapping[str, Any] = {"lossless": True, "quality": 0, "method": 0}
HOPELESS = 3
"""A quick lossless WebP of a tiny picture with this many times the bytes of the lossy one shows that optimizing, which
takes fifty times as long, cannot make it smaller: photos have 4 to 6 times, and optimizing divides the bytes of smooth
drawings by 2.9 at most (``tests/images/pixels/test_encode.py``)."""
AVIF_S_A_PIXEL = 0.65e-6
"""The most seconds per pixel for decoding an AVIF and encoding it again at speed 9: noise, on an idle core."""


def encode(
    frames: list[Image.Image],
    durations_ms: list[int],
    plays: int,
    image_format: str,
    quality: int,
    effort: int,
    time: EncodingTime = ENDLESS,
    *,
    lossless: bool = False,
    exif: bytes = b"",
) -> bytes:
    """Return sRGB frames of one size as a file; in a format without animation, only the first frame.

    ``lossless`` is for WebP; ``exif`` is written into the file and must be made here, never come from an upload.
    Raises ``MemoryError`` for every error by which an encoder reports a lack of memory, ``UndecodableImage``, and
    ``ImageTooLarge`` for an animation that takes longer than ``time``.
    """
    options: dict[str, Any] = {
        "webp": {"quality": quality, "method": effort},
        "avif": {"quality": quality, "speed": 10 - effort},
        "jpeg": {"quality": quality, "progressive": True, "optimize": True},
        "png": {"compress_level": PNG_LEVELS[effort]},
    }[image_format]
    if lossless:
        options |= _exact(image_format, frames)
    if exif:
        options["exif"] = exif
    if image_format == "jpeg":
        frames = [flattened(frames[0], WHITE)]
    return _smallest(frames, image_format, options, durations_ms, plays, time)


def _exact(image_format: str, frames: list[Image.Image]) -> dict[str, Any]:
    """Return the options for pictures that a lossy encoder would distort."""
    return {
        "webp": _lossless(len(frames) * frames[0].width * frames[0].height),
        "avif": {"quality": 100, "subsampling": "4:4:4"},
        "jpeg": {"quality": 95, "subsampling": "4:4:4"},
        "png": {},
    }[image_format]


def _has_few_colours(image: Image.Image) -> bool:
    return image.getcolors(FLAT_COLOURS) is not None


def published_format(image_format: str, frames: list[Image.Image]) -> str:
    """Return the format that is written when ``image_format`` is requested.

    AVIF with alpha becomes WebP: Chromium 156 reads the alpha of an AVIF as video levels, so that 16 of 255 is shown as
    transparent and 235 as opaque.
    """
    return "webp" if image_format == "avif" and frames[0].mode == "RGBA" else image_format


def encode_original(decoded: Decoded, time_s: float | None = None, time: EncodingTime = ENDLESS) -> tuple[str, bytes]:
    """Return the format and the bytes of the original: the judged pixels at full size, and nothing else.

    JPEG and HEIC become JPEG of quality 92 with colours at full resolution: at half of it they would be clipped a
    second time, and might then show something else. PNG stays lossless. WebP stays lossless or gets quality 90. AVIF
    gets quality 80, or becomes WebP where its encoder could take more than a third of ``time_s`` seconds. A GIF retains
    its colours as far as a palette of 256 allows; an animated one becomes a lossless WebP. A picture with an edge too
    long for WebP becomes PNG. Raises like ``encode``.
    """
    frames = decoded.wide_frames or decoded.frames
    image_format = published_format(PUBLISHED_AS.get(decoded.info.format, decoded.info.format), frames)
    pixels = len(frames) * frames[0].width * frames[0].height
    if image_format == "avif" and time_s is not None and pixels * AVIF_S_A_PIXEL > time_s / 3:
        image_format = "webp"
    lossless = decoded.lossless
    if image_format == "gif" and len(frames) > 1:
        image_format, lossless = "webp", True
    if image_format == "webp" and max(frames[0].size) > MAX_EDGE["webp"]:
        image_format = "png"
    forms: dict[str, dict[str, Any]] = {
        "jpeg": {"quality": 92, "subsampling": "4:4:4"},
        # Low efforts: higher ones take two to four times as long to save a tenth of the bytes.
        "png": {"compress_level": 2},
        "webp": _lossless(pixels) if lossless else {"quality": 90, "method": 2 if len(frames) == 1 else 0},
        "avif": {"quality": 80, "speed": 9},
        "gif": {},
    }
    if image_format == "jpeg":
        frames = [flattened(frames[0], WHITE)]
    if image_format == "gif":
        frames = [paletted(frames[0])]
    elif decoded.grey and image_format in ("jpeg", "png"):
        frames = [frame.convert("LA" if frame.mode == "RGBA" else "L") for frame in frames]
    elif image_format == "png" and len(frames) == 1:
        frames = [_exactly_paletted(frames[0])]
    options = forms[image_format] | ({"icc_profile": display_p3_profile()} if decoded.wide_frames else {})
    if options.get("subsampling") == "4:4:4":
        return image_format, _saved(frames, image_format, options, decoded.durations_ms, decoded.plays)
    return image_format, _smallest(frames, image_format, options, decoded.durations_ms, decoded.plays, time)


def _lossless(pixels: int) -> dict[str, Any]:
    return {**QUICK_LOSSLESS, **({"quality": 80, "method": 4} if pixels < FEW_PIXELS else {})}


def _exactly_paletted(image: Image.Image) -> Image.Image:
    """Return the picture with a palette, in half of the bytes or less, if it has up to 256 colours and no alpha."""
    if image.mode != "RGB" or image.getcolors(256) is None:
        return image
    paletted = _quantized(image, 256)
    return paletted if ImageChops.difference(paletted.convert("RGB"), image).getbbox() is None else image


def paletted(image: Image.Image, most: int = 256) -> Image.Image:
    """Return a frame with a palette of up to ``most`` colours (2-256), one of which stands for transparency."""
    if image.mode != "RGBA":
        return _quantized(image, most)
    if most == 256 and (exact := _exactly_transparent(image)) is not None:
        return exact
    hidden = image.getchannel("A").point([255] * 128 + [0] * 128)
    colours = _quantized(flattened(image, (0, 0, 0)), most - 1)
    colours.paste(most - 1, mask=hidden)
    colours.info = {"transparency": most - 1}
    return colours


def _exactly_transparent(image: Image.Image) -> Image.Image | None:
    """Return the frame with all of its colours, if they are at most 256 with transparency, which is all or nothing."""
    colours = image.getcolors(256)
    alpha = image.getchannel("A").histogram()
    if colours is None or any(alpha[1:255]):
        return None
    used = {colour for _, colour in colours}
    unused = next(free for at in range(257) if (free := (at % 256, at // 256, 255)) not in used)
    plain = flattened(image, unused)
    paletted = _quantized(plain, 256)
    if ImageChops.difference(paletted.convert("RGB"), plain).getbbox() is not None:
        return None
    clear = paletted.tobytes()[image.getchannel("A").tobytes().index(0)]
    palette = paletted.getpalette() or []
    palette[3 * clear : 3 * clear + 3] = (0, 0, 0)  # programs that ignore transparency show black, as judged
    paletted.putpalette(palette)
    paletted.info = {"transparency": clear}
    return paletted


def _quantized(image: Image.Image, colours: int) -> Image.Image:
    return image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _smallest(
    frames: list[Image.Image],
    image_format: str,
    options: dict[str, Any],
    durations_ms: list[int],
    plays: int,
    time: EncodingTime,
) -> bytes:
    """Return a lossless file for tiny or flat pictures where that is not larger; always for tiny flat ones."""
    pixels = len(frames) * frames[0].width * frames[0].height

    def saved(options: dict[str, Any]) -> bytes:
        file = _saved(frames, image_format, options, durations_ms, plays)
        time.spend(image_format, pixels, len(file), moves=len(frames) > 1)
        if len(frames) > 1:
            time.check()
        return file

    if image_format not in LOSSY or options.get("lossless"):
        return saved(options)
    exact = options | _exact(image_format, frames)
    exact_s = pixels * EXACT_S_A_PIXEL.get(image_format, 0.0)

    def faithful() -> bytes:
        """Return a file that shows these frames: if the first result shows something else, encode them again."""
        file = saved(options)
        if shows(file, frames):
            return file
        time.check(exact_s)
        return saved(exact)

    flat, tiny = all(map(_has_few_colours, frames)), max(frames[0].size) <= TINY_EDGE
    if not tiny and not (flat and time.allows(exact_s)):
        return faithful()
    if flat and tiny:
        return saved(exact)
    lossy = faithful()
    if image_format == "webp" and not flat and len(saved({**options, **QUICK_LOSSLESS})) > HOPELESS * len(lossy):
        return lossy
    return min(saved(exact), lossy, key=len)  # the first of equal ones


def _apart(frame: Image.Image) -> Image.Image:
    """Return a separate picture object that shares the pixels."""
    return frame._new(frame.im)


def _saved(
    frames: list[Image.Image], image_format: str, options: dict[str, Any], durations_ms: list[int], plays: int
) -> bytes:
    quick = image_format == "png" and len(frames) == 1 and options["compress_level"] <= QUICK_PNG
    if quick and igzip.encodes(frames[0]):
        return igzip.encode(frames[0], options.get("icc_profile", b""), options.get("exif", b""))
    # Pillow stores the options of a save on the picture, and another thread may save it with different ones.
    frames = [_apart(frame) for frame in frames]
    if len(frames) > 1 and image_format in ANIMATES:
        durations_ms = [min(duration_ms, LONGEST_FRAME_MS[image_format]) for duration_ms in durations_ms]
        options = {**options, "save_all": True, "append_images": frames[1:], "duration": durations_ms}
        if image_format == "webp" and not options.get("lossless"):
            # Between key frames libwebp leaves slightly changed pixels unchanged, so it misses a slow drift.
            options |= {"kmin": 0, "kmax": 1}
        if image_format == "avif":
            # Chromium 156 reads the frames of a sequence as video levels, whatever the file declares.
            options["range"] = "limited"
        else:
            options["loop"] = plays if plays <= MOST_PLAYS else 0
    attempts = [options, *([{**options, **ROOMIER[image_format]}] if image_format in ROOMIER else [])]
    for attempt in attempts:
        file = io.BytesIO()
        try:
            frames[0].save(file, image_format, **attempt)
        except (OSError, ValueError, RuntimeError) as exc:
            if ran_out_of_memory(exc):
                raise MemoryError from exc
            failure = exc
        else:
            return file.getvalue()
    raise UndecodableImage(
        f"the picture cannot be written as {image_format}; send it with other dimensions, or in another format"
    ) from failure
