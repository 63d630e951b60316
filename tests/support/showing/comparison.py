"""The property: every published file shows what was judged, in Chromium and in Pillow, at each scale, on each grey."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, ImageSequence

from mediagate.images.pixels.icc import display_p3_profile
from mediagate.values import RenderedFile, variant_of
from tests.support.showing.browser import Browser, Cell, Seen
from tests.support.showing.engine import BLACK, SQUARES, WHITE, Frame, Outcome

SCALES = (1.0, 0.5, 0.25, 0.125)
GREYS = (WHITE, BLACK, 128, 0x12)
BLOCK = 8
"""Means are taken over blocks of this many pixels as they are shown, and at least one block."""
LOSSLESS = (2.0, 12.0)
"""Mean and highest difference of the means that are allowed, in levels of 0-255."""
LOSSY = (4.0, 24.0)
UNEVEN = 2
"""How much more may be lost where a size cannot be divided by what it is reduced by."""
TOO_LARGE = 20_000_000
"""Pixels of one picture on a sheet; a larger one is looked at in its smaller sizes."""
SRGB = ImageCms.createProfile("sRGB")
Box = tuple[float, float, float, float]
Means = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class View:
    """A file as somebody sees it: by which viewer, in which part of full size, on which grey, which of its frames."""

    viewer: str
    scale: float
    grey: int
    frame: int
    image: Image.Image


@dataclass(frozen=True, slots=True)
class Difference:
    """A view of a published file that is not what was judged, with the mean and the highest difference."""

    file: str
    view: str
    mean: float
    highest: float

    def __str__(self) -> str:
        return f"{self.file} {self.view}: mean {self.mean:.1f}, highest {self.highest:.0f}"


class Reference:
    """The judged frames of an upload, whose means are kept: many views are compared with the same ones."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.size = frames[0].on_white.size
        self._frames = frames
        self._means: dict[object, Means] = {}

    def nearest(self, shown: Image.Image, grey: int, *, cut: bool) -> tuple[float, float]:
        """Return the mean and the highest difference from the nearest frame, or from the middle that is cut out."""
        part = _cut(self.size) if cut else (0, 0, *self.size)
        like = part[2] - part[0], part[3] - part[1]
        key = grey, shown.size, cut
        if key not in self._means:
            expected = [_means(frame.on(grey), shown.size, part, like) for frame in self._frames]
            self._means[key] = np.stack(expected)
        seen = _means(shown, shown.size, _whole(shown), like)
        differences = np.abs(self._means[key] - seen).reshape(len(self._frames), -1)
        means = differences.mean(axis=1)
        nearest = int(means.argmin())
        return float(means[nearest]), float(differences[nearest].max())


def views_of(browser: Browser, files: Sequence[RenderedFile]) -> list[list[View]]:
    """Return what Chromium shows of each file; an empty list where it shows nothing."""
    seen = browser.load([(file.format, file.data) for file in files])
    wanted = [(at, cell) for at, found in enumerate(seen) for cell in _cells(at, found, _opaque(files[at]))]
    shown = browser.look([cell for _, (cell, _, _) in wanted])
    views: list[list[View]] = [[] for _ in files]
    for (at, (cell, scale, grey)), image in zip(wanted, shown, strict=True):
        views[at].append(View("Chromium", scale, grey, cell.frame, image))
    return views


def check(outcomes: Sequence[Outcome], browser: Browser, lossy: tuple[float, float] = LOSSY) -> list[list[Difference]]:
    """Return where the published files of each outcome show something else than was judged.

    ``lossy`` is what an encoder may lose: the mean and the highest difference in levels.
    """
    files = [(at, file) for at, outcome in enumerate(outcomes) if outcome.rendered for file in outcome.rendered.files]
    differences: list[list[Difference]] = [[] for _ in outcomes]
    references: dict[int, Reference] = {}
    for (at, file), views in zip(files, views_of(browser, [file for _, file in files]), strict=True):
        reference = references.setdefault(at, Reference(outcomes[at].judged))
        if not views:
            differences[at].append(Difference(f"{file.name}.{file.format}", "is not shown by Chromium", 255, 255))
        differences[at] += [found for view in views if (found := _difference(file, view, reference, lossy))]
        try:
            shown = list(pillow_views(file))
            differences[at] += [found for view in shown if (found := _difference(file, view, reference, lossy))]
            if reference.size == (file.width, file.height) and not _is_display_p3(file):
                differences[at] += _bare_differences(file, outcomes[at].pictures, lossy)
        except Exception as error:  # as many kinds as Pillow has decoders
            said = f"cannot be read by Pillow: {type(error).__name__}: {error}"
            differences[at].append(Difference(f"{file.name}.{file.format}", said, 255, 255))
    return differences


def apart(shown: Image.Image, expected: Image.Image) -> tuple[float, float]:
    """Return the mean and the highest difference of two whole pictures, after means over blocks."""
    return Reference([Frame(expected, expected)]).nearest(shown, WHITE, cut=False)


def pillow_views(file: RenderedFile) -> Iterator[View]:
    """Yield what Pillow shows: with the profile ignored, and if there is one, converted with each of its intents."""
    with Image.open(io.BytesIO(file.data)) as image:
        icc: bytes = image.info.get("icc_profile") or b""
        for number, frame in enumerate(ImageSequence.Iterator(image)):
            upright = ImageOps.exif_transpose(frame)
            plain = _eight_bit(upright).convert("RGBA")
            # The numbers of a wide original are Display P3, so viewers without colour management are not promised sRGB.
            for grey in (WHITE, BLACK) if icc != display_p3_profile() else ():
                yield View("Pillow", 1.0, grey, number, _on(plain, grey))
            for intent in ImageCms.Intent if icc else ():
                converted = _converted(upright, icc, intent)
                if converted is not None:
                    yield View(f"Pillow, {intent.name}", 1.0, WHITE, number, _on(converted, WHITE))


def _means(image: Image.Image, size: tuple[int, int], part: Box, like: tuple[float, float]) -> Means:
    """Return the means of a part of a picture over blocks of what is shown in ``size``.

    A block has ``BLOCK`` pixels along an edge, as it is shown, or more where ``like``, the size of what it is compared
    with, is smaller. Blocks are counted from the first pixel, and then once more from the last.
    """
    blocks, spans, starts = [], [], []
    for shown, other, first, last in zip(size, like, part[:2], part[2:], strict=True):
        edge = BLOCK * max(1.0, shown / other)
        number = max(1, int(shown / edge))
        span = min(1.0, number * edge / shown) if shown >= edge else 1.0
        blocks.append(number)
        spans.append(span * (last - first))
        starts.append((first, last - span * (last - first)))
    found = []
    for left, top in zip(*starts, strict=True):
        box = left, top, left + spans[0], top + spans[1]
        found.append(np.asarray(image.resize((blocks[0], blocks[1]), Image.Resampling.BOX, box=box), dtype=np.int16))
    return np.stack(found)


def _whole(image: Image.Image) -> Box:
    return 0, 0, *image.size


def _difference(file: RenderedFile, view: View, reference: Reference, lossy: tuple[float, float]) -> Difference | None:
    """Return how far a view is from the nearest of the judged frames, if that is too far."""
    # JPEG has no alpha: the picture on white is what is published, whatever it stands on.
    grey = WHITE if file.format == "jpeg" else view.grey
    mean, highest = reference.nearest(view.image, grey, cut=variant_of(file.name) in SQUARES)
    if variant_of(file.name) in SQUARES and min(reference.size) < BLOCK:
        return None  # the middle of so few pixels lies between two of them
    # A viewer reduces by 2, 4 and 8 by means alone where it comes out even; else each has its own filter.
    even = not (file.width % round(1 / view.scale) or file.height % round(1 / view.scale))
    exact = even and _lossless(file) and (file.width, file.height) == reference.size
    limits = LOSSLESS if exact else lossy if even else (UNEVEN * lossy[0], UNEVEN * lossy[1])
    if mean <= limits[0] and highest <= limits[1]:
        return None
    size = f"at {view.scale:.1%} on {view.grey}, frame {view.frame}"
    return Difference(f"{file.name}.{file.format}", f"in {view.viewer} {size}", mean, highest)


def _bare_differences(
    file: RenderedFile, pictures: Sequence[Image.Image], lossy: tuple[float, float]
) -> Iterator[Difference]:
    """Yield the frames that are not as judged for a viewer that ignores alpha; fully transparent pixels are black."""
    with Image.open(io.BytesIO(file.data)) as image:
        for number, frame in enumerate(ImageSequence.Iterator(image)):
            pixels = np.array(_eight_bit(frame).convert("RGBA"))
            if pixels[..., 3].min() == 255:
                continue
            bare = Image.fromarray(np.where(pixels[..., 3:] == 0, 0, pixels[..., :3]).astype(np.uint8))
            mean, highest = min(apart(bare, picture) for picture in pictures)
            limits = LOSSLESS if _lossless(file) else lossy
            if mean > limits[0] or highest > limits[1]:
                yield Difference(f"{file.name}.{file.format}", f"without alpha, frame {number}", mean, highest)


def _is_display_p3(file: RenderedFile) -> bool:
    with Image.open(io.BytesIO(file.data)) as image:
        return bool(image.info.get("icc_profile") == display_p3_profile())


def _cells(at: int, seen: Seen, opaque: bool) -> Iterator[tuple[Cell, float, int]]:
    # A frame stands on a canvas, which is reduced without a filter: by half, that is the mean all the same.
    every = SCALES[:2] if seen.frames else SCALES
    for scale, grey in ((scale, grey) for grey in GREYS for scale in every):
        if opaque and (grey not in (WHITE, BLACK) or (grey == BLACK and scale < 1)):
            continue  # no background can be seen, and one other is enough to prove it
        width, height = max(1, round(seen.width * scale)), max(1, round(seen.height * scale))
        if not seen.width or width * height > TOO_LARGE or (scale < 1 and min(width, height) < 2 * BLOCK):
            continue
        for frame in range(max(1, seen.frames)):
            yield Cell(at, width, height, f"rgb({grey},{grey},{grey})", frame), scale, grey


def _cut(size: tuple[int, int]) -> Box:
    """Return the square in the middle that a ``cover`` of a square shows."""
    width, height = size
    edge = min(size)
    left, top = (width - edge) / 2, (height - edge) / 2
    return left, top, left + edge, top + edge


def _lossless(file: RenderedFile) -> bool:
    return file.format == "png" or (file.format == "webp" and b"VP8L" in file.data[:64] and b"ANMF" not in file.data)


def _opaque(file: RenderedFile) -> bool:
    try:
        with Image.open(io.BytesIO(file.data)) as image:
            return all(
                "transparency" not in frame.info and not frame.mode.endswith(("A", "a"))
                for frame in ImageSequence.Iterator(image)
            )
    except Exception:  # it counts as a difference where Pillow has its turn
        return False


def _eight_bit(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I"):
        return image
    wide = np.asarray(image).astype(np.int64)
    levels = Image.fromarray(np.rint(wide / 257).astype(np.uint8))
    key = image.info.get("transparency")
    if key is not None:
        levels.putalpha(Image.fromarray(np.where(wide == key, 0, 255).astype(np.uint8)))
    return levels


def _on(image: Image.Image, grey: int) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, (grey, grey, grey, 255)), image).convert("RGB")


def _converted(frame: Image.Image, icc: bytes, intent: ImageCms.Intent) -> Image.Image | None:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        mode = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}[profile.profile.xcolor_space]
        converted = ImageCms.profileToProfile(
            frame.convert(mode), profile, SRGB, renderingIntent=intent, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, KeyError):
        return None
    if converted is None:
        return None
    converted.info = {}
    alpha = frame.convert("RGBA").getchannel("A")
    converted.putalpha(alpha)
    return converted
