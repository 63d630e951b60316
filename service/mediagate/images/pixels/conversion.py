"""The conversion of a picture's colours to sRGB or Display P3, determined once per file."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from itertools import product
from typing import TypeAlias

from PIL import Image, ImageChops, ImageCms, ImageStat

from mediagate.images.pixels import heif_boxes, icc, png_chunks
from mediagate.images.pixels.code_points import CURVES, PQ, PRIMARIES, CodePoints, gamma
from mediagate.images.pixels.hdr import PEAK, tone_mapping
from mediagate.images.pixels.primaries import BT_709, DISPLAY_P3, Primaries

Step: TypeAlias = Callable[[Image.Image], Image.Image]
"""From a picture in the mode of a file's colours, or RGBA, to RGB or RGBA."""
_MODES = {b"RGB ": "RGB", b"CMYK": "CMYK", b"GRAY": "L"}
"""Pillow's modes of the colour spaces that a profile may describe (ICC.1:2022, table 19)."""
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")
_GREY_PNG = (0, 4)
"""Colour types (PNG, third edition, table 8): Pillow opens grey with alpha in 16 bits as RGBA."""
_WIDE_LEVELS = 24
"""The most levels of Display P3 by which a colour lies beyond sRGB; a space with more is wide."""
_MEAN_LEVELS, _MOST_LEVELS = 0.5, 24
"""How far the optimised path of lcms may deviate from the exact one on the chart (mean, maximum); CMYK does by 0.2 and
16."""
_MOST_SLOW_PIXELS = 16_000_000
"""The largest picture that an irregular profile may convert: a larger one would take many seconds. Profiles of cameras
and screens are smooth."""


class Conversion:
    """From the colours of one file to sRGB or Display P3.

    Frames are 8-bit ``L``, ``RGB``, ``RGBA`` or ``CMYK``, as in the file. The results are ``RGB``, or ``RGBA`` with the
    frame's alpha, without ``info``. Frames in ``RGB`` and ``RGBA`` may be converted in place.
    """

    def __init__(self, mode: str, srgb: Step, display_p3: Step, *, slow: bool = False) -> None:
        self._mode, self._srgb, self._display_p3 = mode, srgb, display_p3
        self.slow = slow
        """Whether the conversion takes some 0.3 microseconds a pixel, ten times as long as others."""

    @cached_property
    def wide(self) -> bool:
        """Whether colours of the file lie well outside sRGB."""
        if self._mode == "L":
            return False
        clipped = _srgb_to_display_p3()(self.to_srgb(_chart(self._mode)))
        return _difference(clipped, self.to_display_p3(_chart(self._mode)))[1] > _WIDE_LEVELS

    def to_srgb(self, frame: Image.Image) -> Image.Image:
        """Return the frame in sRGB."""
        return self._converted(frame, self._srgb)

    def to_display_p3(self, frame: Image.Image) -> Image.Image:
        """Return the frame in Display P3, to be published with ``display_p3_profile``."""
        return self._converted(frame, self._display_p3)

    def _converted(self, frame: Image.Image, step: Step) -> Image.Image:
        if self._mode == "L" and frame.mode == "RGBA":
            converted = step(frame.getchannel("R"))
            converted.putalpha(frame.getchannel("A"))
        else:
            converted = step(frame if frame.mode in (self._mode, "RGBA") else frame.convert(self._mode))
        converted.info = {}
        return converted


def read_conversion(image: Image.Image, data: bytes, image_format: str, warnings: list[str]) -> Conversion | None:
    """Return the conversion of an opened picture's colours to sRGB, ``None`` if they are sRGB already.

    ``data`` is the whole file, and ``image_format`` mediagate's name of its format. The picture need not be loaded.
    Ignores profiles that are broken or do not fit the picture, and tone-maps HDR, with a warning each.
    """
    if image_format == "png":
        return _of_png(image, data, warnings)
    if profile := image.info.get("icc_profile"):
        return _of_icc(profile, _modes(image), _pixels(image), warnings)
    if image_format in ("avif", "heic"):
        colour = heif_boxes.read_colour(data)
        if colour.code_points:
            return _of_code_points(colour.code_points.for_video(), warnings, colour.peak)
    return None


def display_p3_to_srgb(frame: Image.Image) -> Image.Image:
    """Return a copy, in sRGB, of an ``RGB`` or ``RGBA`` frame in Display P3."""
    return _display_p3_to_srgb()(frame.copy())


def _of_png(image: Image.Image, data: bytes, warnings: list[str]) -> Conversion | None:
    """Read the chunks by their precedence (PNG, third edition, section 4.3)."""
    colour = png_chunks.read_colour(data)
    if colour.code_points:
        return _of_code_points(colour.code_points, warnings, colour.peak)
    if colour.icc is not None:
        if icc.is_profile(colour.icc):
            modes = ("L", "RGB") if data[25] in _GREY_PNG else _modes(image)
            return _of_icc(colour.icc, modes, _pixels(image), warnings)
        warnings.append("the colour profile was ignored: it is damaged")
    if colour.is_srgb or colour.gamma is None or colour.has_srgb_gamma:
        return None
    try:
        profile = icc.matrix_profile(colour.primaries or BT_709, gamma(1 / colour.gamma))
        return _of_profile(profile, "RGB")
    except (ImageCms.PyCMSError, ValueError, ZeroDivisionError, struct.error):
        return None  # with undefined primaries the gamma is ignored too, as in browsers


def _of_icc(profile: bytes, modes: tuple[str, ...], pixels: int, warnings: list[str]) -> Conversion | None:
    try:
        if not icc.is_profile(profile):
            raise ValueError("it is damaged")
        if len(profile) > icc.MAX_BYTES:
            raise ValueError(f"it has {len(profile):,} bytes; up to {icc.MAX_BYTES:,} are accepted")
        mode = _MODES.get(profile[16:20])
        if mode is None:
            raise ValueError("it is not for RGB, CMYK or grey")
        if mode not in modes:
            raise ValueError(f"it is for {profile[16:20].decode().strip()}, and the picture is in {modes[0]}")
        if mode == "RGB" and (points := icc.code_points(profile)):
            return _of_code_points(points, warnings)
        conversion = _of_profile(icc.as_browsers_read(profile), mode)
        if conversion is not None and conversion.slow and pixels > _MOST_SLOW_PIXELS:
            raise ValueError("it is too irregular for a picture of this size")
        return conversion
    except (ImageCms.PyCMSError, OSError, ValueError, MemoryError) as exc:
        warnings.append(f"the colour profile was ignored: {exc}")
        return None


def _of_code_points(points: CodePoints, warnings: list[str], peak: float | None = None) -> Conversion | None:
    if points.is_srgb:
        return None
    if points.is_hdr:
        name = "PQ" if points.transfer == PQ else "HLG"
        warnings.append(f"the picture is HDR ({name}); it was tone-mapped to SDR")
        return Conversion("RGB", _tone_mapped(points, peak, BT_709), _tone_mapped(points, peak, DISPLAY_P3))
    return _of_profile(icc.matrix_profile(PRIMARIES[points.primaries], CURVES[points.transfer]), "RGB")


def _of_profile(profile: bytes, mode: str) -> Conversion | None:
    """Return the conversion of a profile, determined by its effect on the chart; raises the errors of lcms."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    to_srgb = _ProfileStep(source, _srgb(), mode)
    to_srgb(_chart(mode))
    if mode == "RGB" and not icc.has_lookup_table(profile) and to_srgb.is_identity:
        return None
    return Conversion(mode, to_srgb, _ProfileStep(source, _display_p3(), mode), slow=to_srgb.is_slow)


def _tone_mapped(points: CodePoints, peak: float | None, target: Primaries) -> Step:
    return lambda frame: frame.filter(tone_mapping(points, peak or PEAK, target))


class _ProfileStep:
    """Conversion from one profile to another by lcms.

    The intent is perceptual without black point compensation, as in browsers. The target must have version 2, since
    lcms compensates black points for targets of version 4 by itself. The optimised path of lcms reduces curves and
    tables to a coarse grid; the exact path, ten times slower, is taken where that loses accuracy.
    """

    def __init__(self, source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile, mode: str) -> None:
        self._source, self._target, self._mode = source, target, mode
        self._transforms: dict[tuple[str, ImageCms.Flags], ImageCms.ImageCmsTransform] = {}

    def __call__(self, frame: Image.Image) -> Image.Image:
        if frame.mode == "L":
            return Image.merge("RGB", [frame.point(band.tobytes()) for band in self._exact.split()])
        return self._applied(frame, self._flags)

    @cached_property
    def is_identity(self) -> bool:
        """Whether no colour of the chart changes by more than one level."""
        return self._mode == "RGB" and _difference(self._exact, _chart("RGB"))[1] <= 1

    @property
    def is_slow(self) -> bool:
        """Whether the exact path is taken."""
        return self._mode != "L" and self._flags == ImageCms.Flags.NOOPTIMIZE

    @cached_property
    def _flags(self) -> ImageCms.Flags:
        mean, most = _difference(self._applied(_chart(self._mode), ImageCms.Flags.NONE), self._exact)
        deviates = mean > _MEAN_LEVELS or most > _MOST_LEVELS
        return ImageCms.Flags.NOOPTIMIZE if deviates else ImageCms.Flags.NONE

    @cached_property
    def _exact(self) -> Image.Image:
        return self._applied(_chart(self._mode), ImageCms.Flags.NOOPTIMIZE)

    def _applied(self, frame: Image.Image, flags: ImageCms.Flags) -> Image.Image:
        """Return the converted frame, which is the same object if its mode does not change."""
        mode = "RGBA" if frame.mode == "RGBA" else "RGB"
        transform = self._transforms.get((frame.mode, flags))
        if transform is None:
            transform = self._transforms[frame.mode, flags] = ImageCms.buildTransform(
                self._source, self._target, frame.mode, mode, ImageCms.Intent.PERCEPTUAL, flags
            )
        if frame.mode == mode:
            ImageCms.applyTransform(frame, transform, inPlace=True)
            return frame
        converted = ImageCms.applyTransform(frame, transform)
        assert converted is not None  # only with inPlace
        return converted


def _pixels(image: Image.Image) -> int:
    return image.width * image.height * int(getattr(image, "n_frames", 1))


def _modes(image: Image.Image) -> tuple[str, ...]:
    """Return the modes that a profile may describe."""
    if image.mode in _GREY:
        return "L", "RGB"
    return ("CMYK",) if image.mode == "CMYK" else ("RGB",)


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(icc.matrix_profile(BT_709)))


@cache
def _display_p3() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(icc.matrix_profile(DISPLAY_P3)))


@cache
def _srgb_to_display_p3() -> Step:
    return _ProfileStep(_srgb(), _display_p3(), "RGB")


@cache
def _display_p3_to_srgb() -> Step:
    return _ProfileStep(_display_p3(), _srgb(), "RGB")


def _difference(one: Image.Image, other: Image.Image) -> tuple[float, int]:
    """Return the mean and the largest difference of two pictures in levels."""
    statistics = ImageStat.Stat(ImageChops.difference(one, other))
    return max(statistics.mean), max(high for _, high in statistics.extrema)


def _chart(mode: str) -> Image.Image:
    """Return a chart: ramps of each channel alone and of all together, and a lattice of colours; for ``L`` a ramp."""
    colours = _chart_bytes(len(mode))
    return Image.frombytes(mode, (len(colours) // len(mode), 1), colours)


@cache
def _chart_bytes(channels: int) -> bytes:
    return bytes(value for colour in _chart_colours(channels) for value in colour)


def _chart_colours(channels: int) -> Iterator[tuple[int, ...]]:
    if channels == 1:
        yield from ((value,) for value in range(256))
        return
    for value in range(256):
        yield (value,) * channels
        for channel in range(channels):
            yield (0,) * channel + (value,) + (0,) * (channels - channel - 1)
    steps = {3: 16, 4: 7}[channels]
    yield from product([round(255 * step / (steps - 1)) for step in range(steps)], repeat=channels)
