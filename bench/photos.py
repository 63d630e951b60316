"""The photos that the benchmarks take: a hundred mixed ones and a large one, each made once from those of the tests.

No two are the same picture: each is a source shifted around its edges, mirrored or cropped, so that the finest detail
stays what the camera took. Made deterministically; some 200 MB in ``bench/.cache/photos``.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps, __version__

from bench.workshop import CACHE, alone

DATA = Path(__file__).parents[1] / "tests" / "data"
FOLDER = CACHE / "photos"
EACH = 20
Kind = Literal["12mp-upright", "12mp-turned", "6mp", "avatar-jpeg", "avatar-png"]
KINDS: tuple[Kind, ...] = ("avatar-png", "avatar-jpeg", "6mp", "12mp-turned", "12mp-upright")
Other = Literal["12mp-png", "screenshot", "12mp-avif"]
Name = Kind | Other | Literal["20mp", "50mp"]
TWENTY: Name = "20mp"
LARGE: Name = "50mp"
SUFFIXES: Mapping[Name, str] = {
    "avatar-png": ".png",
    "12mp-png": ".png",
    "screenshot": ".png",
    "12mp-avif": ".avif",
}
QUALITIES = (85, 88, 90, 92)
ORIENTATION = 0x0112
AVATAR = 500
PORTRAITS = ("moderation/astronaut.png", "moderation/grace_hopper.jpg", "moderation/chelsea.png")


def mixed(count: int = 5 * EACH) -> list[Path]:
    """Return up to a hundred photos: all kinds by turns, so that any beginning is a fair selection."""
    return _made([(kind, n) for n in range(EACH) for kind in KINDS][:count])


def of_kind(kind: Kind | Other, count: int = EACH) -> list[Path]:
    """Return up to twenty photos of a kind: 12 MP (4032 x 3024 as stored), 6 MP, 500 x 500 pixels, or a screenshot."""
    return _made([(kind, n) for n in range(min(count, EACH))])


def twenty() -> Path:
    """Return a JPEG of 20 megapixels."""
    return _made([(TWENTY, 0)])[0]


def large() -> Path:
    """Return a JPEG of 50 megapixels."""
    return _made([(LARGE, 0)])[0]


def _made(photos: Sequence[tuple[Name, int]]) -> list[Path]:
    """Return the files of photos, having made those that are missing."""
    CACHE.mkdir(exist_ok=True)
    with alone():
        _folder()
        files = [FOLDER / f"{name}-{n:02}{SUFFIXES.get(name, '.jpg')}" for name, n in photos]
        missing = [(file, *photo) for file, photo in zip(files, photos, strict=True) if not file.exists()]
        if missing:
            with ProcessPoolExecutor(2, get_context("fork")) as processes:
                for made in [processes.submit(_make, *photo) for photo in missing]:
                    made.result()
    return files


@cache
def _folder() -> None:
    stamp = hashlib.sha256(Path(__file__).read_bytes() + __version__.encode()).hexdigest()
    if not (FOLDER / stamp).exists():
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        (FOLDER / stamp).touch()


def _make(file: Path, name: Name, n: int) -> None:
    # Whoever is stopped in between leaves no half photo under its name.
    half = file.with_name(f".{file.name}")
    MAKERS[name](half, n)
    half.rename(file)


def _make_12mp_upright(file: Path, n: int) -> None:
    picture, icc = _shifted(n, (4032, 3024))
    _save_jpeg(picture, file, n, icc)


def _make_12mp_turned(file: Path, n: int) -> None:
    picture, icc = _shifted(n + EACH, (4032, 3024))
    _save_jpeg(picture, file, n, icc, orientation=6)


def _make_6mp(file: Path, n: int) -> None:
    picture, icc = _shifted(n + 2 * EACH + 1, (2725, 2225))
    _save_jpeg(picture, file, n, icc)


def _make_avatar_jpeg(file: Path, n: int) -> None:
    _save_jpeg(_avatar(n), file, n, None)


def _make_avatar_png(file: Path, n: int) -> None:
    _avatar(n + EACH).save(file)


def _make_12mp_png(file: Path, n: int) -> None:
    picture, _ = _shifted(n, (4032, 3024))
    picture.save(file, "PNG")


def _make_12mp_avif(file: Path, n: int) -> None:
    picture, _ = _shifted(n, (4032, 3024))
    picture.save(file, "AVIF", quality=75, speed=8)


def _make_screenshot(file: Path, n: int) -> None:
    """Draw a window with lines of text and a photo, as a screen of 2560 x 1440 shows it."""
    picture = Image.new("RGB", (2560, 1440), (246, 247, 249))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 2560, 64), fill=(38, 50, 70))
    font = ImageFont.load_default(size=22)
    for line in range(44):
        words = " ".join("mediagate"[: 2 + (line * word + n) % 8] for word in range(1, 22))
        draw.text((48, 92 + 30 * line), words, fill=(30, 30, 30), font=font)
    photo, _ = _shifted(n, (900, 675))
    picture.paste(photo, (1600, 120))
    picture.save(file, "PNG")


def _make_twenty(file: Path, n: int) -> None:
    picture, icc = _shifted(n, (5472, 3648))
    _save_jpeg(picture, file, n, icc)


def _make_large(file: Path, n: int) -> None:
    picture, icc = _shifted(n, (8160, 6120))
    picture.save(file, quality=88, icc_profile=icc)


MAKERS: Mapping[Name, Callable[[Path, int], None]] = {
    "12mp-upright": _make_12mp_upright,
    "12mp-turned": _make_12mp_turned,
    "6mp": _make_6mp,
    "avatar-jpeg": _make_avatar_jpeg,
    "avatar-png": _make_avatar_png,
    "12mp-png": _make_12mp_png,
    "screenshot": _make_screenshot,
    "12mp-avif": _make_12mp_avif,
    TWENTY: _make_twenty,
    LARGE: _make_large,
}


def _shifted(n: int, size: tuple[int, int]) -> tuple[Image.Image, bytes | None]:
    """Return the n-th photo of this size, as a camera stores it, and its colour profile."""
    name = ("dog_exif_xmp_icc.jpg", "photo_2725x2225.jpg")[n % 2]
    with Image.open(DATA / "photos" / name) as image:
        icc = image.info.get("icc_profile")
        picture = image.convert("RGB")
    if picture.size != size:
        picture = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    picture = ImageChops.offset(picture, n * size[0] // 67, n * size[1] // 97)
    return (ImageOps.mirror(picture) if n % 4 > 1 else picture), icc


def _avatar(n: int) -> Image.Image:
    """Return the n-th avatar: a crop of a portrait or of a photo."""
    sources = [*PORTRAITS, "photos/dog_exif_xmp_icc.jpg", "photos/photo_2725x2225.jpg"]
    with Image.open(DATA / sources[n % len(sources)]) as image:
        picture = ImageOps.exif_transpose(image).convert("RGB")
    picture = picture.crop((n * picture.width // 200, n * picture.height // 300, *picture.size))
    picture = ImageOps.fit(picture, (AVATAR, AVATAR), Image.Resampling.LANCZOS)
    return ImageOps.mirror(picture) if n % 2 else picture


def _save_jpeg(picture: Image.Image, file: Path, n: int, icc: bytes | None, orientation: int = 1) -> None:
    exif = Image.Exif()
    if orientation != 1:
        exif[ORIENTATION] = orientation
    quality = QUALITIES[n % len(QUALITIES)]
    picture.save(file, quality=quality, exif=exif, icc_profile=icc)
