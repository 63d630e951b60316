"""save: formats, palettes, sizes in bytes, transparency and animation."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import oxipng
import pytest
from PIL import Image

from mediagate.errors import OperationFailed
from mediagate.images.operations import Context, File, Frames
from tests.support.charts import chart, corners, ramp
from tests.support.recipes import applied, array, faults, ran, still
from tests.support.references import ssim

PHOTO = Path(__file__).parents[2] / "data" / "photos" / "photo_2725x2225.jpg"
MIMES = {"webp": "WEBP", "avif": "AVIF", "jpeg": "JPEG", "png": "PNG", "gif": "GIF"}


def file_of(frames: Image.Image | Frames, context: Context | None = None, **params: Any) -> File:
    made = applied(frames, "save", context, **params)
    assert isinstance(made, File)
    return made


def decoded(file: File) -> Image.Image:
    image = Image.open(io.BytesIO(file.data))
    image.load()
    return image


def photo() -> Image.Image:
    with Image.open(PHOTO) as image:
        image.draft(None, (300, 245))
        return image.resize((300, 245))


def disc(mode: str = "RGBA") -> Image.Image:
    picture = Image.new(mode, (80, 60))
    picture.paste(corners(40, 30).convert(mode), (20, 15))
    return picture


@pytest.mark.parametrize("image_format", MIMES)
def test_save_writes_this_format(image_format: str) -> None:
    file = file_of(chart(200, 150), format=image_format)
    image = decoded(file)
    assert (file.format, image.format, image.size) == (image_format, MIMES[image_format], (200, 150))
    assert ssim(image.convert("RGB"), chart(200, 150)) > (0.8 if image_format == "gif" else 0.9)


@pytest.mark.parametrize("image_format", MIMES)
@pytest.mark.parametrize("picture", [ramp(1, 1), disc(), disc("RGB"), Image.new("RGBA", (3, 2), (9, 8, 7, 0))])
def test_save_shows_what_was_judged(image_format: str, picture: Image.Image) -> None:
    judged: list[Frames] = []
    file = file_of(picture, Context(judge=judged.append), format=image_format)
    (shown,) = judged
    assert file.shown is shown
    levels = np.abs(array(decoded(file).convert("RGBA")) - array(shown.images[0].convert("RGBA")))
    visible = array(shown.images[0].convert("RGBA"))[..., 3] > 0
    assert (levels[visible].mean() if visible.any() else 0) <= (0 if file.format in ("png", "gif") else 6)


def test_save_uses_the_format_of_the_input() -> None:
    for given, expected in (("webp", "webp"), ("gif", "gif"), ("heic", "jpeg"), ("png", "png")):
        assert file_of(ramp(9, 9), Context(format=given)).format == expected


def test_quality_and_effort_change_the_file() -> None:
    sizes = [len(file_of(photo(), format="webp", quality=quality).data) for quality in (20, 60, 95)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2] / 2
    assert len(file_of(photo(), format="png", effort=0).data) > len(file_of(photo(), format="png").data)


@pytest.mark.parametrize("picture", [ramp(90, 60), disc()])
def test_lossless_webp_keeps_every_pixel(picture: Image.Image) -> None:
    file = file_of(picture, format="webp", lossless=True)
    shown, expected = array(decoded(file).convert("RGBA")), array(picture.convert("RGBA"))
    assert np.array_equal(shown[..., 3], expected[..., 3])
    assert np.array_equal(shown[expected[..., 3] > 0], expected[expected[..., 3] > 0])


def test_jpeg_shows_transparency_on_its_background() -> None:
    image = decoded(file_of(disc(), format="jpeg", background="#00ff00"))
    assert array(image)[2, 2] == pytest.approx([0, 255, 0], abs=3)
    assert array(decoded(file_of(disc(), format="jpeg")))[2, 2] == pytest.approx([255] * 3, abs=2)


def test_avif_with_transparency_becomes_webp_and_says_so() -> None:
    context = Context()
    assert file_of(disc(), context, format="avif").format == "webp"
    assert context.warnings[0][0] == "format_changed"
    opaque = Context()
    assert file_of(Image.new("RGBA", (9, 9), "red"), opaque, format="avif").format == "avif"
    assert not opaque.warnings


def test_colours_under_transparency_are_not_saved() -> None:
    picture = chart(60, 40).convert("RGBA")
    picture.putalpha(0)
    for file in (file_of(picture, format="png"), file_of(picture, format="webp", lossless=True)):
        assert array(decoded(file).convert("RGBA")).max() == 0


@pytest.mark.parametrize("colours", [2, 3, 16, 256])
@pytest.mark.parametrize("image_format", ["png", "gif"])
@pytest.mark.parametrize("picture", [chart(120, 90), disc()], ids=["opaque", "transparent"])
def test_palette_has_at_most_this_many_colours(image_format: str, colours: int, picture: Image.Image) -> None:
    judged: list[Frames] = []
    file = file_of(picture, Context(judge=judged.append), format=image_format, colours=colours)
    image = decoded(file)
    assert image.mode == "P"
    shown = image.convert(judged[0].images[0].mode)
    assert len(shown.getcolors(100_000) or ()) <= colours
    visible = array(shown.convert("RGBA"))[..., 3] > 8
    assert np.array_equal(array(shown)[visible], array(judged[0].images[0])[visible])


def test_palette_makes_a_png_smaller() -> None:
    assert len(file_of(chart(300, 200), format="png", colours=64).data) < 0.6 * len(
        file_of(chart(300, 200), format="png").data
    )


@pytest.mark.parametrize("image_format", ["webp", "avif", "jpeg"])
def test_target_bytes_gets_the_highest_quality_that_fits(image_format: str) -> None:
    best = file_of(photo(), format=image_format, quality=60)
    file = file_of(photo(), format=image_format, quality=90, target_bytes=len(best.data))
    assert len(file.data) <= len(best.data)
    assert len(file.data) >= len(file_of(photo(), format=image_format, quality=58).data)


def test_target_bytes_takes_the_first_file_if_that_fits() -> None:
    file = file_of(photo(), format="webp", quality=70, target_bytes=10_000_000)
    assert file.data == file_of(photo(), format="webp", quality=70).data


def test_target_bytes_encodes_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from mediagate.images.operations.output.target import encoded_within

    qualities: list[int] = []

    def encode(quality: int) -> bytes:
        qualities.append(quality)
        return bytes(100 * quality)

    assert len(encoded_within(encode, 100, 3333)) == 3300
    assert len(qualities) <= 8
    qualities.clear()
    with pytest.raises(OperationFailed, match="the smallest has 100"):
        encoded_within(encode, 100, 99)
    assert len(qualities) <= 8


def test_target_bytes_out_of_reach_fails() -> None:
    with pytest.raises(OperationFailed, match="no quality makes a file of 100 bytes"):
        file_of(photo(), format="jpeg", target_bytes=100)


def test_recompressed_png_has_the_same_pixels_in_fewer_bytes() -> None:
    for picture in (chart(200, 150), disc()):
        plain, small = (
            file_of(picture, format="png", effort=2),
            file_of(picture, format="png", effort=2, recompress=True),
        )
        assert len(small.data) < len(plain.data)
        assert decoded(small).convert("RGBA").tobytes() == decoded(plain).convert("RGBA").tobytes()


class Panic(BaseException):
    """As PyO3 raises for a panic in Rust."""


@pytest.mark.parametrize("raised", [Panic("index out of bounds"), oxipng.PngError("bad chunk")])
def test_error_of_the_recompression_fails_its_step(raised: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def optimize(data: bytes, level: int) -> bytes:
        raise raised

    monkeypatch.setattr(oxipng, "optimize_from_memory", optimize)
    with pytest.raises(OperationFailed, match="cannot be recompressed"):
        file_of(ramp(9, 9), format="png", recompress=True)


def test_pdf_shows_the_picture_on_its_page() -> None:
    file = file_of(chart(96, 192), format="pdf", quality=95)
    assert file.data.startswith(b"%PDF-1.7") and file.data.endswith(b"%%EOF\n")
    assert b"/MediaBox [0 0 72 144]" in file.data
    start = file.data.index(b"\xff\xd8")
    inside = Image.open(io.BytesIO(file.data[start : file.data.index(b"endstream", start)]))
    assert ssim(inside.convert("RGB"), chart(96, 192)) > 0.95


def test_pdf_has_a_page_for_each_frame_and_a_valid_table() -> None:
    data = file_of(still(ramp(40, 30), corners(40, 30)), format="pdf").data
    assert data.count(b"/Type /Page ") == 2 and b"/Count 2" in data
    start = int(data.rsplit(b"startxref\n", 1)[1].split()[0])
    entries = data[start:].split(b"\n")[2:]
    offsets = [int(entry[:10]) for entry in entries if entry.endswith(b" n ")]
    assert len(offsets) == 8
    for number, offset in enumerate(offsets, 1):
        assert data[offset:].startswith(b"%d 0 obj\n" % number)


def moving() -> Frames:
    images = [Image.new("RGBA", (40, 30), (0, 0, 0, 0)) for _ in range(3)]
    for number, image in enumerate(images):
        image.paste((200, 40 * number, 20, 255), (10 * number, 5, 10 * number + 8, 25))
    return Frames(tuple(images), (100, 250, 40), 3)


@pytest.mark.parametrize("image_format", ["gif", "webp", "png"])
def test_animations_keep_frames_times_and_plays(image_format: str) -> None:
    from mediagate import Source

    given = moving()
    file = file_of(given, format=image_format)
    produced = ran(file.data, {"op": "orient"}, {"op": "save", "format": "png"}, source=Source(animation="keep"))
    assert (produced.info.format, produced.info.frames) == (image_format, 3)
    image = Image.open(io.BytesIO(produced.outputs[0].data))
    times, frames = [], []
    for number in range(3):
        image.seek(number)
        image.load()
        times.append(round(image.info["duration"]))
        frames.append(image.convert("RGBA"))
    assert times == [100, 250, 40]
    assert image.info.get("loop") == 3
    for frame, expected in zip(frames, given.images, strict=True):
        assert np.abs(array(frame)[..., 3] - array(expected)[..., 3]).max() <= 1
        assert np.abs(array(frame) - array(expected))[array(expected)[..., 3] > 0].mean() < 6


@pytest.mark.parametrize("plays", [0, 1, 2, 70_000])
def test_gif_plays_as_often_as_its_input(plays: int) -> None:
    from mediagate.images.pixels import gif

    frames = Frames((ramp(9, 9), corners(9, 9)), (100, 100), plays)
    assert gif.read(file_of(frames, format="gif").data).plays == (min(plays, 65536))


def test_jpeg_of_an_animation_is_its_first_frame_and_says_so() -> None:
    context = Context()
    file = file_of(moving(), context, format="jpeg")
    assert len(file.shown.images) == 1
    assert context.warnings[0][0] == "first_frame_only"


@pytest.mark.parametrize(
    "step",
    [
        {"format": "tiff"},
        {"format": "jpeg", "lossless": True},
        {"format": "avif", "lossless": True},
        {"format": "png", "target_bytes": 1000},
        {"format": "webp", "colours": 16},
        {"format": "webp", "recompress": True},
        {"format": "webp", "lossless": True, "target_bytes": 1000},
        {"colours": 1},
        {"colours": 257},
        {"quality": 0},
        {"effort": 7},
    ],
)
def test_save_refuses_options_of_other_formats(step: dict[str, Any]) -> None:
    assert faults({"op": "save", **step})


def test_options_that_do_not_fit_the_format_of_the_input_fail() -> None:
    with pytest.raises(
        OperationFailed, match="target_bytes is for webp, avif, jpeg, and this step saves png; set format"
    ):
        file_of(ramp(9, 9), Context(format="png"), target_bytes=1000)


def test_edges_beyond_a_format_fail() -> None:
    with pytest.raises(OperationFailed, match="webp holds edges of up to 16,383 pixels"):
        file_of(Image.new("RGB", (16_384, 1)), format="webp")
