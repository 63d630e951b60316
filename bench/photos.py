"""The photos that the benchmarks take: a hundred mixed ones and a large one, made once from those of the tests.

No two are the same picture: each is a source shifted around its edges, mirrored or cropped, so that the finest detail
stays what the camera took. Made deterministically; some 200 MB in ``bench/.cache/photos``.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from PIL import Image, ImageChops, ImageOps, __version__

from bench.workshop import CACHE, alone

DATA = Path(__file__).parents[1] / "tests" / "data"
FOLDER = CACHE / "photos"
EACH = 20
Kind = Literal["12mp-upright", "12mp-turned", "6mp", "avatar-jpeg", "avatar-png"]
KINDS: tuple[Kind, ...] = ("12mp-upright", "12mp-turned", "6mp", "avatar-jpeg", "avatar-png")
LARGE = "50mp.jpg"
QUALITIES = (85, 88, 90, 92)
ORIENTATION = 0x0112
AVATAR = 500
PORTRAITS = ("moderation/astronaut.png", "moderation/grace_hopper.jpg", "moderation/chelsea.png")


def mixed(count: int = 5 * EACH) -> list[Path]:
    """Return up to a hundred photos: all kinds by turns, so that any beginning is a fair selection."""
    return [path for each in zip(*(of_kind(kind) for kind in KINDS), strict=True) for path in each][:count]


def of_kind(kind: Kind) -> list[Path]:
    """Return the twenty photos of a kind: 12 MP (4032 x 3024 as stored), 6 MP, or 500 x 500 pixels."""
    return sorted(_made().glob(f"{kind}-*"))


def large() -> Path:
    """Return a JPEG of 50 megapixels."""
    return _made() / LARGE


@cache
def _made() -> Path:
    stamp = hashlib.sha256(Path(__file__).read_bytes() + __version__.encode()).hexdigest()
    CACHE.mkdir(exist_ok=True)
    with alone():
        if not (FOLDER / stamp).exists():
            shutil.rmtree(FOLDER, ignore_errors=True)
            FOLDER.mkdir()
            with ProcessPoolExecutor(2, get_context("fork")) as processes:
                for made in [processes.submit(make, n) for make in MAKERS for n in range(EACH)]:
                    made.result()
                processes.submit(_make_large).result()
            (FOLDER / stamp).touch()
    return FOLDER


def _make_12mp_upright(n: int) -> None:
    picture, icc = _shifted(n, (4032, 3024))
    _save_jpeg(picture, f"12mp-upright-{n:02}", n, icc)


def _make_12mp_turned(n: int) -> None:
    picture, icc = _shifted(n + EACH, (4032, 3024))
    _save_jpeg(picture, f"12mp-turned-{n:02}", n, icc, orientation=6)


def _make_6mp(n: int) -> None:
    picture, icc = _shifted(n + 2 * EACH + 1, (2725, 2225))
    _save_jpeg(picture, f"6mp-{n:02}", n, icc)


def _make_avatar_jpeg(n: int) -> None:
    _save_jpeg(_avatar(n), f"avatar-jpeg-{n:02}", n, None)


def _make_avatar_png(n: int) -> None:
    _avatar(n + EACH).save(FOLDER / f"avatar-png-{n:02}.png")


def _make_large() -> None:
    picture, icc = _shifted(0, (8160, 6120))
    picture.save(FOLDER / LARGE, quality=88, icc_profile=icc)


MAKERS: Sequence[Callable[[int], None]] = (
    _make_12mp_upright,
    _make_12mp_turned,
    _make_6mp,
    _make_avatar_jpeg,
    _make_avatar_png,
)


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


def _save_jpeg(picture: Image.Image, name: str, n: int, icc: bytes | None, orientation: int = 1) -> None:
    exif = Image.Exif()
    if orientation != 1:
        exif[ORIENTATION] = orientation
    quality = QUALITIES[n % len(QUALITIES)]
    picture.save(FOLDER / f"{name}.jpg", quality=quality, exif=exif, icc_profile=icc)
