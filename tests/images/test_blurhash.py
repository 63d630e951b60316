"""BlurHash: decoded and compared with the picture, for any size and shape."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import blurhash
import numpy as np
import pytest
from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.images.blurhash import blurhash_of
from mediagate.images.render import render
from tests.support.placeholders import blurhash_shown, smooth

SOURCE = Source(variants={"xs": VariantSpec(width=64)}, original="delete")
THIN = [(1, 1), (1, 500), (500, 1), (92, 1200), (1200, 92), (2, 3), (3, 2), (7, 5), (33, 31), (16, 16)]


def hashed(picture: Image.Image, source: Source = SOURCE) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return render(file.getvalue(), source, (0.5, 0.5), None).blurhash


def test_blurhash_of_one_colour_decodes_flat_at_any_size() -> None:
    random = Random(20)
    sizes = [*THIN, *((random.randint(1, 300), random.randint(1, 300)) for _ in range(30))]
    for size in sizes:
        colour = random.choice([(240, 240, 240), (255, 255, 255), tuple(random.randrange(256) for _ in "RGB")])
        text = hashed(Image.new("RGB", size, colour))
        assert len(text) == 28
        assert blurhash.is_valid_blurhash(text)
        for shown in (blurhash_shown(text), np.asarray(blurhash.decode(text, 32, 32).convert("RGB"), float)):
            assert np.abs(shown - colour).max() <= 2, f"{colour} of {size}"


@pytest.mark.parametrize("size", THIN, ids=str)
def test_blurhash_of_thin_and_tiny_pictures_decodes_close_to_them(size: tuple[int, int]) -> None:
    red, blue = (200, 30, 40), (20, 60, 220)
    picture = Image.new("RGB", size, red)
    if size != (1, 1):
        sideways = size[0] > size[1]
        half = (size[0] // 2, size[1]) if sideways else (size[0], size[1] // 2)
        picture.paste(blue, (0, 0, *half))
    shown, best = blurhash_shown(hashed(picture)), smooth(picture.resize((60, 60), Image.Resampling.BOX), 4, 3)
    assert np.abs(shown - best).mean() <= 7


@pytest.mark.parametrize(
    "name", ["photos/photo_2725x2225.jpg", "formats/hopper.png", "formats/fox.avif", "formats/4.webp"]
)
def test_blurhash_of_photos_is_as_close_as_its_waves_allow(data: Path, name: str) -> None:
    picture = Image.open(data / name).convert("RGB")
    shown = blurhash_shown(hashed(picture))
    best = smooth(picture, 4, 3)
    assert np.abs(shown - best).mean() <= 7
    small = np.asarray(picture.resize((32, 32), Image.Resampling.BOX), dtype=float)
    assert np.abs(shown - small).mean() <= np.abs(best - small).mean() + 1


def test_blurhash_puts_alpha_on_white() -> None:
    picture = Image.new("RGBA", (200, 90), (30, 60, 90, 255))
    picture.paste((200, 20, 20, 128), (100, 0, 200, 90))
    on_white = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    assert np.abs(blurhash_shown(hashed(picture)) - blurhash_shown(hashed(on_white))).max() <= 3
    clear = blurhash_shown(hashed(Image.new("RGBA", (9, 300), (0, 0, 0, 0))))
    assert np.abs(clear - 255).max() <= 2


def test_blurhash_shows_the_whole_picture_if_all_variants_are_cropped() -> None:
    picture = Image.new("RGB", (300, 100), (10, 10, 10))
    picture.paste((250, 250, 250), (0, 0, 50, 100))
    cut = Source(variants={"square": VariantSpec(width=50, height=50, fit="cover")}, original="delete")
    assert np.abs(blurhash_shown(hashed(picture, cut)) - blurhash_shown(hashed(picture))).mean() <= 3


def test_blurhash_of_refuses_bytes_that_do_not_match_the_size() -> None:
    with pytest.raises(ValueError, match="11 bytes do not make an RGB picture of 2 x 2 pixels"):
        blurhash_of(2, 2, bytes(11))
    with pytest.raises(ValueError, match="0 x 4"):
        blurhash_of(0, 4, b"")
