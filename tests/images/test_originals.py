"""Originals: encoded from the judged pixels, in the format published for each upload format."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from mediagate import Source, VariantSpec
from mediagate.errors import ImageTooLarge, UndecodableImage
from mediagate.images.pixels import probe
from mediagate.images.pixels.icc import display_p3_profile
from mediagate.images.render import render
from mediagate.values import RenderedFile
from tests.support.charts import corners, glow, saved
from tests.support.references import colour_difference, on, opened, ssim

DATA = Path(__file__).parents[1] / "data"
SMALL = Source(variants={"xs": VariantSpec(width=64)})
MOVING = Source(variants={"xs": VariantSpec(width=64)}, animation="keep")
MIDDLE = (0.5, 0.5)
SCRIPT = b"<?php system($_GET['c']); ?>"


def photo() -> Image.Image:
    with Image.open(DATA / "formats" / "hopper.jpg") as image:
        return Image.frombytes("RGB", image.size, image.tobytes())


def original(data: bytes, source: Source = SMALL, **options: Any) -> RenderedFile:
    file = render(data, source, MIDDLE, None, **options).original
    assert file is not None
    return file


def jpeg(file: RenderedFile) -> JpegImagePlugin.JpegImageFile:
    image = Image.open(io.BytesIO(file.data))
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    return image


def timeline(data: bytes) -> list[bytes]:
    """Return the frame shown at each hundredth of a second, because encoders join equal frames."""
    image, shown = Image.open(io.BytesIO(data)), []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        shown += [on(image.convert("RGBA"), 255).tobytes()] * round(image.info["duration"] / 10)
    return shown


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 30},
        {"quality": 95, "subsampling": 0},
        {"quality": 95, "subsampling": 1},
        {"progressive": True, "quality": 80},
        {"restart_marker_blocks": 3},
        {"keep_rgb": True},
        {"qtables": [[255] * 64, [255] * 64]},
    ],
    ids=str,
)
def test_jpeg_original_has_our_tables_and_full_chroma_resolution(options: dict[str, Any]) -> None:
    data = saved(photo(), "JPEG", **options)
    made = jpeg(original(data + SCRIPT))
    ours = JpegImagePlugin.JpegImageFile(io.BytesIO(saved(photo(), "JPEG", quality=92)))
    assert made.quantization == ours.quantization
    assert JpegImagePlugin.get_sampling(made) == 0
    assert ssim(made, opened(data)) > 0.98


def test_grey_jpeg_original_stays_grey() -> None:
    made = jpeg(original(saved(photo().convert("L"), "JPEG")))
    assert made.mode == "L"
    assert ssim(made, photo()) > 0.95


def test_heic_original_becomes_jpeg_without_metadata() -> None:
    made = jpeg(original((DATA / "formats" / "exif_xmp_iptc.heic").read_bytes()))
    assert set(made.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert [marker for marker, _ in made.applist] == ["APP0"]


@pytest.mark.parametrize("orientation", [3, 6, 65537])
def test_original_has_upright_pixels_and_no_exif(orientation: int) -> None:
    entry = struct.pack("<HHHIII", 1, 0x0112, 4, 1, orientation, 0)
    data = saved(photo().crop((0, 0, 96, 64)), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + entry)
    made = jpeg(original(data))
    assert made.size == ((64, 96) if orientation == 6 else (96, 64))
    assert not made.getexif()


def test_xmp_orientation_is_ignored_and_removed() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d xmlns:tiff="t" tiff:Orientation="6"/></x:xmpmeta>'
    made = render(saved(photo().crop((0, 0, 96, 64)), "JPEG", xmp=xmp), SMALL, MIDDLE, None)
    assert (made.info.width, made.info.height) == (96, 64)
    assert made.removed == ("xmp",)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_original_has_the_pixels_of_the_upload(mode: str) -> None:
    picture = photo().convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(Image.linear_gradient("L").resize(picture.size).point(lambda alpha: max(9, alpha)))
    made = opened(original(saved(picture, "PNG")).data)
    assert made.mode == {"1": "L"}.get(mode, mode)
    assert made.convert("RGBA").tobytes() == picture.convert("RGBA").tobytes()


def test_webp_original_is_lossless_only_if_the_upload_is() -> None:
    lossless = original(saved(photo(), "WEBP", lossless=True))
    assert opened(lossless.data).tobytes() == photo().tobytes()
    lossy = original(saved(photo(), "WEBP", quality=80))
    assert (lossy.format, b"VP8L" in lossy.data[:16]) == ("webp", False)
    assert ssim(opened(lossy.data), photo()) > 0.95


def test_avif_original_becomes_webp_if_encoding_could_take_too_long() -> None:
    data = saved(photo().resize((400, 300)), "AVIF")
    assert original(data, time_s=30.0).format == "avif"
    assert original(data, time_s=0.05).format == "webp"


def test_still_gif_original_keeps_colours_and_transparency() -> None:
    shape = glow(90).quantize(200)
    hidden = glow(90).getchannel("A").point(lambda alpha: 255 if alpha < 128 else 0)
    shape.paste(255, mask=hidden)
    made = original(saved(shape, "GIF", transparency=255))
    assert made.format == "gif"
    for grey in (0, 255):
        assert (
            on(opened(made.data), grey).tobytes() == on(opened(saved(shape, "GIF", transparency=255)), grey).tobytes()
        )


def test_animated_gif_original_becomes_lossless_webp_with_its_frames() -> None:
    data = (DATA / "formats" / "rotating-squares.gif").read_bytes()
    made = original(data, MOVING)
    assert (made.format, b"VP8 " in made.data) == ("webp", False)
    assert timeline(made.data) == timeline(data)
    assert len(set(timeline(data))) > 5


@pytest.mark.parametrize(("told_ms", "shown_ms"), [(0, 100), (10, 100), (20, 20), (650_000, 650_000)])
def test_gif_frame_durations_match_browsers(told_ms: int, shown_ms: int) -> None:
    frames = [corners(32, 32), corners(32, 32).rotate(90)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=told_ms, loop=0)
    made = Image.open(io.BytesIO(original(data, MOVING).data))
    made.seek(1)
    made.load()
    assert made.info["duration"] == shown_ms


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP"])
def test_animation_with_equal_frames_and_65535_plays_is_published(image_format: str) -> None:
    frame = corners(32, 32)
    plays = 65_535
    data = saved(
        frame, image_format, save_all=True, append_images=[frame.rotate(90), frame, frame], duration=70, loop=plays
    )
    made = Image.open(io.BytesIO(original(data, MOVING).data))
    assert made.info["loop"] in (0, plays)
    assert getattr(made, "n_frames", 1) >= 3


def progressive_with_scans(count: int) -> bytes:
    """Return a progressive JPEG that repeats its last scan until it has ``count`` scans."""
    data = saved(photo().convert("L").resize((64, 48)), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), len(data) - 2
    return data[:end] + data[last:end] * (count - data.count(b"\xff\xda")) + data[end:]


def test_jpeg_with_more_than_a_hundred_scans_is_refused(tmp_path: Path) -> None:
    assert original(progressive_with_scans(100)).format == "jpeg"
    file = tmp_path / "scans"
    file.write_bytes(progressive_with_scans(101))
    with file.open("rb") as opened_file:
        for attempt in (lambda: original(file.read_bytes()), lambda: probe(opened_file, SMALL)):
            with pytest.raises(UndecodableImage, match="more than 100 scans or 10,000 segments; export it again"):
                attempt()


@pytest.mark.parametrize("gap", [b"", b"\xff\xff", b"between"], ids=["nothing", "fill bytes", "other bytes"])
def test_jpeg_segments_are_counted_across_bytes_between_them(gap: bytes) -> None:
    data = saved(photo(), "JPEG")
    with pytest.raises(UndecodableImage, match="10,000 segments"):
        original(data[:20] + (gap + b"\xff\xfe\0\2") * 10_001 + data[20:])
    made = original(data[:2] + b"\xff\xfe\0\2" * 500 + data[2:])
    assert opened(made.data).tobytes() == opened(original(data).data).tobytes()


def test_jpeg_markers_after_the_end_are_not_counted() -> None:
    assert original(saved(photo(), "JPEG") + b"\xff\xda\0\2" * 20_000).format == "jpeg"


def test_gif_with_large_canvas_is_refused_by_the_memory_to_encode_it() -> None:
    frames = [Image.new("P", (6000, 6000), number) for number in range(2)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert len(data) < 100_000
    with pytest.raises(ImageTooLarge, match=r"6000 x 6000 pixels, 2 frames and would need .* MiB of memory"):
        original(data, MOVING, memory_bytes=512 * 1024 * 1024)


def test_broken_exif_logs_one_line(caplog: pytest.LogCaptureFixture) -> None:
    entries = b"".join(struct.pack("<HHII", 0x8000 + number, 2, 1000, 0xFFFFFF) for number in range(300))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 300) + entries
    with caplog.at_level(logging.INFO, "mediagate"):
        made = original(saved(photo(), "JPEG", exif=exif))
    assert made.format == "jpeg"
    (line,) = [record.getMessage() for record in caplog.records]
    assert "warnings; first: " in line


@pytest.mark.parametrize("image_format", ["webp", "avif", "jpeg", "png"])
def test_variant_of_a_flat_picture_keeps_its_colours(image_format: Any) -> None:
    pattern = Image.new("RGB", (12, 12), (255, 0, 0))
    for at in range(72):
        pattern.putpixel((at % 6 * 2 + at // 6 % 2, at // 6), (0, 255, 255))
    source = Source(variants={"all": VariantSpec(width=12, format=image_format)})
    made = render(saved(pattern, "PNG"), source, MIDDLE, None).variants[0]
    assert colour_difference(opened(made.data).convert("RGB"), pattern) < 2


@pytest.mark.parametrize("image_format", ["webp", "avif"])
def test_avif_with_alpha_is_published_as_webp(image_format: Any) -> None:
    source = Source(variants={"all": VariantSpec(width=90, format=image_format)})
    made = render(saved(glow(90), "AVIF"), source, MIDDLE, None)
    assert [file.format for file in made.files] == ["webp", "webp"]
    assert [opened(file.data).mode for file in made.files] == ["RGBA", "RGBA"]


def test_wide_original_is_published_in_display_p3_only_if_configured() -> None:
    wide = Image.new("RGB", (64, 64), (0, 255, 0))
    data = saved(wide, "PNG", icc_profile=display_p3_profile())
    made = original(data, SMALL.model_copy(update={"colour": "wide"}))
    image = Image.open(io.BytesIO(made.data))
    assert image.convert("RGB").getpixel((9, 9)) == (0, 255, 0)
    assert image.info["icc_profile"] == display_p3_profile()
    plain = opened(original(data).data)
    assert "icc_profile" not in plain.info
    assert plain.convert("RGB").getpixel((9, 9)) == (0, 255, 0), "clipped to sRGB's green"
    narrow = original(saved(wide, "PNG"), SMALL.model_copy(update={"colour": "wide"}))
    assert "icc_profile" not in Image.open(io.BytesIO(narrow.data)).info


@pytest.mark.parametrize("image_format", ["AVIF", "HEIF"])
def test_bytes_after_the_last_heif_box_are_ignored_with_a_warning(image_format: str) -> None:
    data = saved(photo(), image_format)
    for behind in (b"PK\3\4 trailing", b"\0" * 40, b"word" * 30):
        assert opened(original(data + behind).data).tobytes() == opened(original(data).data).tobytes()
        made = render(data + behind, SMALL, MIDDLE, None)
        assert made.warnings == ("bytes after the last box were ignored",)
    with pytest.raises(UndecodableImage):
        original(data[:-40])


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_grey_png_of_few_bits_keeps_its_transparent_colour(depth: int) -> None:
    width, top = 16, 2**depth - 1
    row = b"\0" + bytes(255 if at < width * depth // 16 else 0 for at in range(width * depth // 8))
    pieces = {
        b"IHDR": struct.pack(">IIBBBBB", width, 4, depth, 0, 0, 0, 0),
        b"tRNS": top.to_bytes(2),
        b"IDAT": zlib.compress(row * 4),
        b"IEND": b"",
    }
    data = b"".join(png_chunk(name, content) for name, content in pieces.items())
    alpha = opened(original(b"\x89PNG\r\n\x1a\n" + data).data).convert("RGBA").getchannel("A")
    assert (alpha.getpixel((1, 1)), alpha.getpixel((14, 1))) == (0, 255)


@pytest.mark.parametrize(
    ("chunk", "content"),
    [(b"pHYs", bytes(8)), (b"zTXt", b"k\0\0" + bytes(2_000_000)), (b"tRNS", bytes(257))],
    ids=["pHYs", "zTXt", "tRNS"],
)
def test_png_with_a_malformed_ancillary_chunk_is_published(chunk: bytes, content: bytes) -> None:
    data = saved(corners(8, 8).quantize(4), "PNG")
    at = data.index(b"IDAT") - 4
    made = opened(original(data[:at] + png_chunk(chunk, content) + data[at:]).data)
    assert made.convert("RGB").tobytes() == opened(data).convert("RGB").tobytes()


def test_png_without_its_palette_is_refused() -> None:
    data = saved(corners(8, 8).quantize(4), "PNG")
    start = data.index(b"PLTE") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    with pytest.raises(UndecodableImage):
        original(data[:start] + data[end:])


def png_chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)


def test_webp_of_zero_width_is_refused(tmp_path: Path) -> None:
    data = bytearray(saved(photo(), "WEBP"))
    data[26:28] = bytes(2)
    file = tmp_path / "flat"
    file.write_bytes(data)
    with file.open("rb") as opened_file, pytest.raises(UndecodableImage):
        probe(opened_file, SMALL)


def chroma_pattern() -> Image.Image:
    """Return a pattern in which chroma subsampling would reveal a picture."""
    down, across = np.mgrid[0:384, 0:384]
    amplitude = np.where((across // 48 + down // 48) % 2, 250, 20)
    green = np.where((across + down) % 2, 125 + amplitude / 2, 125 - amplitude / 2)
    pattern = np.zeros((384, 384, 3), np.uint8)
    pattern[..., 1] = green.round()
    return Image.fromarray(pattern)


@pytest.mark.parametrize("image_format", ["webp", "jpeg", "avif"])
def test_chroma_subsampling_reveals_no_picture_in_a_pattern(image_format: Any) -> None:
    picture = chroma_pattern()
    source = Source(variants={"all": VariantSpec(width=384, format=image_format)})
    made = opened(render(saved(picture, "PNG"), source, MIDDLE, None).variants[0].data).convert("RGB")
    means = [np.asarray(image.reduce(8), dtype=float) for image in (made, picture)]
    assert np.abs(means[0] - means[1]).mean() <= 4
    assert np.abs(means[0] - means[1]).max() <= 24


def test_chroma_pattern_that_takes_too_long_to_encode_is_refused() -> None:
    noisy = np.asarray(chroma_pattern()).copy()
    noisy[..., 2] = np.random.default_rng(1).integers(0, 40, (384, 384))  # more than a few colours
    source = Source(variants={"all": VariantSpec(width=384, format="avif")}, original="delete")
    data = saved(Image.fromarray(noisy), "PNG")
    assert render(data, source, MIDDLE, None, time_s=60).variants
    with pytest.raises(ImageTooLarge, match="takes too long to encode"):
        render(data, source, MIDDLE, None, time_s=0.3)


@pytest.mark.parametrize("quality", [10, 80])
def test_animation_variant_follows_a_slow_drift(quality: int) -> None:
    frames = [Image.new("RGB", (64, 64), (60 + 4 * step, 90, 140 - 4 * step)) for step in range(16)]
    for step, frame in enumerate(frames):
        frame.paste(corners(32, 32), (step, 16))
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=200)
    source = Source(variants={"all": VariantSpec(width=64, quality=quality)}, animation="keep")
    made = Image.open(io.BytesIO(render(data, source, MIDDLE, None).variants[0].data))
    made.seek(getattr(made, "n_frames", 1) - 1)
    made.load()
    last = np.asarray(made.convert("RGB").reduce(8), dtype=float) - np.asarray(frames[-1].reduce(8), dtype=float)
    assert np.abs(last).mean() <= 4


def test_nearly_transparent_pixels_of_a_variant_are_black() -> None:
    sparse = Image.new("RGBA", (640, 640))
    for at in range(0, 640, 8):
        for down in range(0, 640, 8):
            sparse.putpixel((at, down), (255, 40, 40, 255))
    source = Source(variants={"small": VariantSpec(width=80, format="png")})
    made = opened(render(saved(sparse, "PNG"), source, MIDDLE, None).variants[0].data).convert("RGBA")
    alpha = np.asarray(made)[..., 3]
    assert 0 < alpha.max() <= 8
    assert np.asarray(made)[..., :3].max() == 0


@pytest.mark.parametrize(("size", "moving"), [((17_000, 2), True), ((1, 30_000), True), ((17_000, 2), False)], ids=str)
def test_original_too_long_for_webp_becomes_png(size: tuple[int, int], moving: bool) -> None:
    frames = [Image.new("RGB", size, colour) for colour in ("red", "blue")]
    if moving:
        data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    else:
        frames[0].putalpha(100)
        data = saved(frames[0], "AVIF", speed=10)
    made = original(data, MOVING)
    assert (made.format, made.width, made.height) == ("png", *size)


def test_apng_frame_that_lasts_for_hours_is_published() -> None:
    frames = [corners(16, 16), corners(16, 16).rotate(90)]
    data = bytearray(saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=1000))
    at = data.rindex(b"fcTL")
    data[at + 24 : at + 28] = struct.pack(">HH", 65535, 1)
    data[at + 30 : at + 34] = zlib.crc32(data[at : at + 30]).to_bytes(4)
    made = render(bytes(data), MOVING, MIDDLE, None)
    assert [file.format for file in made.files] == ["webp", "png"]
