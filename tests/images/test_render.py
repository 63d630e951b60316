"""Rendering of real files: every published file is opened and measured."""

from __future__ import annotations

import io
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from mediagate import Rendered, Source, VariantSpec
from mediagate.errors import ConfigError, ImageTooLarge, MediagateError, UndecodableImage, UnsupportedType
from mediagate.images import codecs
from mediagate.images.pixels import check_libheif, check_pillow
from mediagate.images.render import render
from mediagate.values import RenderedFile

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[1] / "data"
GOOD = [path for folder in ("photos", "formats", "oriented") for path in sorted((DATA / folder).iterdir())]
EXACT = Source(variants={"all": VariantSpec(width=16384, format="png")})
"""A source with one lossless variant of full size."""


def rendered(data: bytes, source: Source | None = None) -> Rendered:
    return render(data, source or Source(), (0.5, 0.5), None)


@cache
def published(path: Path) -> Rendered:
    return rendered(path.read_bytes())


def opened(file: RenderedFile | None) -> Image.Image:
    assert file is not None
    image = Image.open(io.BytesIO(file.data))
    assert image.format == {"jpeg": "JPEG"}.get(file.format, file.format.upper())
    image.load()
    assert image.size == (file.width, file.height)
    return image


def read(path: Path) -> Image.Image:
    """Open a file of the corpus with Pillow, for comparison."""
    codecs()  # registers HEIC
    image = Image.open(io.BytesIO(path.read_bytes()))
    image.load()
    return image


def saved(image: Image.Image, image_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of the worst channel, 0 to 255."""
    mode = "RGBA" if "A" in one.getbands() else "RGB"
    return float(max(ImageStat.Stat(ImageChops.difference(one.convert(mode), other.convert(mode))).mean))


def assert_pixels_only(data: bytes) -> None:
    """Check that a file has no metadata, neither in its decoder's ``info`` nor as known bytes."""
    image = Image.open(io.BytesIO(data))
    image.load()
    assert not image.getexif()
    told = {"xmp", "photoshop", "comment", "exif", "icc_profile", "XML:com.adobe.xmp", "date:create", "Software"}
    assert not told & set(image.info)
    for trace in (
        b"Exif\0\0",
        b"eXIf",
        b"EXIF\0",
        b"ICC_PROFILE",
        b"ICCP",
        b"http://ns.adobe.com",
        b"8BIM",
        b"<?php",
        b"<x:xmpmeta",
    ):
        assert trace not in data


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_render_publishes_every_variant_of_a_good_file(path: Path) -> None:
    result = published(path)
    info, width, height = result.info, result.info.width, result.info.height
    assert [file.name for file in result.variants] == ["xs", "sm", "md", "lg", "xl"]
    for file, most in zip(result.variants, (64, 256, 640, 1280, 1920), strict=True):
        assert file.format == "webp"
        assert file.width == min(most, width)
        assert file.height == pytest.approx(height * file.width / width, abs=0.51)
        assert opened(file).mode == ("RGBA" if result.has_alpha else "RGB")
        assert_pixels_only(file.data)
    original = opened(result.original)
    assert original.size == (width, height)
    assert result.original is not None
    assert result.original.format == ("jpeg" if info.format == "heic" else info.format)
    assert_pixels_only(result.original.data)
    assert len(result.blurhash) == 28
    assert result.dominant_color[0] == "#"
    assert len(result.dominant_color) == 7
    assert result.verdict.decision == "allow"
    assert result.verdict.model == "off"
    assert not result.warnings
    assert set(result.timings_ms) == {"decode", "resize", "moderate", "encode", "original", "blurhash"}


@pytest.mark.parametrize("kind", ["landscape", "portrait"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_render_applies_exif_orientation(kind: str, orientation: int) -> None:
    upright, turned = (published(DATA / "oriented" / f"{kind}_{number}.jpg") for number in (1, orientation))
    assert (turned.info.width > turned.info.height) == (kind == "landscape")
    assert turned.aspect_ratio == upright.aspect_ratio
    files = zip([*turned.variants, turned.original], [*upright.variants, upright.original], strict=True)
    for ours, theirs in files:
        small = opened(theirs).convert("RGB").resize((60, 60))
        assert difference(opened(ours).convert("RGB").resize((60, 60)), small) < 5
        # Any other orientation would fail.
        assert difference(small.transpose(Image.Transpose.FLIP_LEFT_RIGHT), small) > 10
        assert difference(small.transpose(Image.Transpose.ROTATE_180), small) > 10


def test_unreadable_exif_leaves_the_pixels_unchanged() -> None:
    path = DATA / "photos" / "paris_icc_exif_xmp.png"
    with pytest.raises(ValueError, match="non-hexadecimal"):
        read(path).getexif()
    result = rendered(path.read_bytes(), EXACT)
    assert difference(opened(result.original), read(path)) == 0
    assert "exif" in result.removed


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("photos/exif_gps_tiny.jpg", ("gps", "exif")),
        ("photos/dog_exif_xmp_icc.jpg", ("exif", "xmp")),
        ("formats/hopper.jpg", ("comment",)),
        ("formats/hopper.png", ("comment",)),
        ("formats/hopper.gif", ("comment",)),
        ("formats/Channel_digital_image_CMYK_color.jpg", ("thumbnail", "exif", "xmp", "iptc")),
        ("formats/exif_xmp_iptc.heic", ("exif", "xmp")),
        ("formats/fox.avif", ()),
        ("oriented/portrait_6.jpg", ("exif",)),
        ("formats/4.webp", ()),
    ],
    ids=str,
)
def test_removed_metadata_is_listed(name: str, words: tuple[str, ...]) -> None:
    assert published(DATA / name).removed == words


def test_serial_numbers_and_further_pictures_are_removed_and_listed() -> None:
    picture = read(DATA / "formats" / "hopper.webp")
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA431] = "SN-4711"
    result = rendered(saved(picture, "JPEG", exif=exif))
    assert result.removed == ("serial",)
    assert result.original is not None
    assert b"SN-4711" not in result.original.data
    both = rendered(saved(picture, "MPO", save_all=True, append_images=[picture.rotate(90)]))
    assert "pictures" in both.removed
    assert getattr(opened(both.original), "n_frames", 1) == 1


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "GIF"])
def test_lossless_original_stays_lossless(image_format: str) -> None:
    picture = read(DATA / "formats" / ("hopper.gif" if image_format == "GIF" else "hopper.png"))
    options = {"lossless": True} if image_format == "WEBP" else {}
    data = saved(picture, image_format, **options)
    original = rendered(data).original
    assert difference(opened(original), picture) == 0
    assert original is not None
    assert len(original.data) <= len(data) * 1.1


def reference(path: Path) -> Image.Image:
    """Convert a whole file to sRGB by its own profile."""
    image = read(path)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    srgb = ImageCms.createProfile("sRGB")
    colours = image.convert("RGB") if image.mode == "RGBA" else image
    converted = ImageCms.profileToProfile(
        colours, profile, srgb, ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB", flags=flags
    )
    assert converted is not None
    return converted


@pytest.mark.parametrize("name", ["p3.png", "Channel_digital_image_CMYK_color.jpg", "arrow.heic"])
def test_icc_profile_is_applied(name: str) -> None:
    path = DATA / "formats" / name
    result = rendered(path.read_bytes(), Source(variants={"md": VariantSpec(width=500, format="png")}))
    ours = opened(result.variants[0])
    right = reference(path)
    assert difference(ours, right.resize(ours.size, Image.Resampling.LANCZOS)) < 1.5
    # Taken as sRGB, the file's levels would be another picture.
    if name != "arrow.heic":
        assert difference(ours, read(path).convert("RGB").resize(ours.size)) > 5
    if name.startswith("Channel"):
        original = opened(result.original)
        assert (original.mode, "icc_profile" in original.info) == ("RGB", False)
        assert difference(original, right) < 4


def test_cmyk_jpeg_without_profile_is_not_inverted() -> None:
    light = Image.new("CMYK", (64, 64), (10, 0, 0, 0))
    data = saved(light, "JPEG", quality=95)
    assert b"Adobe" in data
    for file in (rendered(data, EXACT).variants[0], rendered(data).original):
        assert opened(file).convert("RGB").resize((1, 1)).getpixel((0, 0)) == pytest.approx((245, 255, 255), abs=3)


def test_png_of_16_bits_becomes_8_bits() -> None:
    ramp = Image.frombytes("I;16", (256, 1), b"".join((v * 257).to_bytes(2, "little") for v in range(256)))
    wide = ramp.resize((256, 8))
    result = rendered(saved(wide, "PNG"), EXACT)
    variant, original = opened(result.variants[0]), opened(result.original)
    assert variant.convert("L").crop((0, 0, 256, 1)).tobytes() == bytes(range(256))
    assert original.mode == "L"
    assert original.crop((0, 0, 256, 1)).tobytes() == bytes(range(256))
    keyed = rendered(saved(wide, "PNG", transparency=77 * 257), EXACT)
    alpha = opened(keyed.variants[0]).getchannel("A").crop((0, 0, 256, 1)).tobytes()
    assert [level for level in range(256) if alpha[level] == 0] == [77]


def test_grey_png_with_alpha_is_converted_by_its_grey_profile() -> None:
    path = DATA / "formats" / "16-bit-grey-alpha.png"
    image = read(path)
    result = rendered(path.read_bytes(), EXACT)
    ours = opened(result.variants[0])
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    grey = image.convert("RGB").convert("L")
    srgb = ImageCms.createProfile("sRGB")
    right = ImageCms.profileToProfile(grey, profile, srgb, ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB")
    assert right is not None
    seen = image.getchannel("A").point(lambda value: 255 if value else 0)
    black = Image.new("RGB", image.size)
    assert difference(Image.composite(ours.convert("RGB"), black, seen), Image.composite(right, black, seen)) < 1.5
    assert difference(ours.getchannel("A").convert("RGB"), image.getchannel("A").convert("RGB")) == 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_of_every_mode_keeps_its_pixels(mode: str) -> None:
    hopper = read(DATA / "formats" / "hopper.png").convert("RGB")
    image = hopper.convert("I;16") if mode == "I;16" else hopper.convert(mode)
    if mode == "I;16":
        image = image.point(lambda value: value * 257)
        expected = hopper.convert("L")
    else:
        expected = image.convert("RGB").convert("RGB")
    result = rendered(saved(image, "PNG"), EXACT)
    assert difference(opened(result.variants[0]).convert("RGB"), expected.convert("RGB")) <= 1
    assert difference(opened(result.original).convert("RGB"), opened(result.variants[0]).convert("RGB")) == 0


def test_alpha_is_kept_except_in_jpeg_where_it_is_put_on_white() -> None:
    path = DATA / "formats" / "with-alpha.png"
    formats = {f: VariantSpec(width=1000, format=f, quality=95) for f in ("webp", "avif", "png", "jpeg")}
    result = rendered(path.read_bytes(), Source(variants=formats))
    source = read(path).convert("RGBA")
    assert result.has_alpha
    white = Image.alpha_composite(Image.new("RGBA", source.size, "white"), source).convert("RGB")
    for file in result.variants:
        image = opened(file)
        if file.format == "jpeg":
            assert image.mode == "RGB"
            assert difference(image, white) < 2
        else:
            assert difference(image.getchannel("A").convert("RGB"), source.getchannel("A").convert("RGB")) < 1
            on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
            assert difference(on_white, white) < 3


@pytest.mark.parametrize("stored", ["RGBA", "P"])
def test_colours_hidden_by_transparency_are_not_published(stored: str) -> None:
    hidden = read(DATA / "formats" / "hopper.png").convert("RGB")
    picture: Image.Image = hidden.convert("RGBA")
    if stored == "P":
        picture = hidden.quantize(64)
        data = saved(picture, "PNG", transparency=bytes(64))
    else:
        picture.putalpha(0)
        data = saved(picture, "PNG")
    result = rendered(data, EXACT)
    for file in (*result.variants, result.original):
        assert opened(file).convert("RGBA").convert("RGB").getextrema() == ((0, 0),) * 3
    assert result.dominant_color == "#ffffff"


PAYLOAD = b"<?php system($_GET['c']); ?>"


def test_scripts_hidden_in_pictures_are_removed() -> None:
    picture = read(DATA / "formats" / "hopper.png").convert("RGB")
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = icc.index("sRGB".encode("utf-16-be"))
    icc[at : at + len(PAYLOAD)] = PAYLOAD
    polyglots = [
        saved(picture, "JPEG", comment=PAYLOAD),
        saved(picture, "GIF", comment=PAYLOAD),
        saved(picture, "PNG", icc_profile=bytes(icc)),
        saved(picture, "JPEG", icc_profile=bytes(icc)),
        *(saved(picture, image_format) + PAYLOAD for image_format in ("JPEG", "PNG", "GIF", "WEBP")),
    ]
    for data in polyglots:
        # Pillow compresses the profile of a PNG, so its payload is visible only after decompression.
        assert PAYLOAD in data or PAYLOAD in Image.open(io.BytesIO(data)).info["icc_profile"]
        result = rendered(data)
        assert difference(opened(result.original), picture) < 12
        for file in (*result.variants, result.original):
            assert file is not None
            assert PAYLOAD not in file.data
            assert PAYLOAD not in Image.open(io.BytesIO(file.data)).info.get("icc_profile", b"")


@pytest.mark.parametrize("icc", [b"no profile at all", b"cmyk"])
def test_unusable_icc_profile_is_ignored_with_a_warning(icc: bytes) -> None:
    picture = read(DATA / "formats" / "hopper.png").convert("RGB")
    if icc == b"cmyk":
        icc = read(DATA / "formats" / "Channel_digital_image_CMYK_color.jpg").info["icc_profile"]
    result = rendered(saved(picture, "PNG", icc_profile=icc), EXACT)
    (warning,) = result.warnings
    assert warning.startswith("the colour profile was ignored: ")
    assert difference(opened(result.variants[0]), picture) == 0
    assert "icc_profile" not in opened(result.original).info


def test_noisy_jpeg_keeps_its_original() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((500, 500), 200) for _ in range(3)])
    result = rendered(saved(noise, "JPEG", quality=100, subsampling=0))
    assert difference(opened(result.original), noise) < 5


def test_large_noisy_picture_fits_into_webp() -> None:
    noise = Image.effect_noise((625, 500), 90).convert("RGB").resize((5000, 4000))
    with pytest.raises(ValueError, match="encoding error 6"):
        saved(noise, "WEBP", quality=100, method=0)
    source = Source(variants={"all": VariantSpec(width=5000, quality=100, effort=0)}, original="delete")
    assert difference(opened(rendered(saved(noise, "JPEG"), source).variants[0]), noise) < 6


def test_very_tall_picture_fits_into_webp() -> None:
    result = rendered(saved(Image.new("RGB", (30, 20000), "red"), "PNG"))
    assert [opened(file).height for file in result.variants] == [16383] * 5


def test_crop_shows_the_focal_point() -> None:
    picture = Image.new("RGB", (3000, 1000), "red")
    picture.paste((0, 0, 255), (1500, 0, 3000, 1000))
    source = Source(variants={"crop": VariantSpec(width=100, height=100, fit="cover", format="png")})
    data = saved(picture, "PNG")
    for focal, colour in (((0.1, 0.5), (255, 0, 0)), ((0.9, 0.5), (0, 0, 255))):
        crop = opened(render(data, source, focal, None).variants[0])
        assert crop.size == (100, 100)
        assert crop.getcolors() == [(10000, colour)]


def test_equal_variants_are_encoded_once_and_stay_in_order(photo: bytes) -> None:
    small = VariantSpec(width=64)
    source = Source(variants={"b": VariantSpec(width=500), "a": small, "c": VariantSpec(width=900), "d": small})
    b, a, c, d = rendered(photo, source).variants
    assert [file.name for file in (b, a, c, d)] == ["b", "a", "c", "d"]
    assert b.data is c.data
    assert a.data is d.data
    assert (a.width, b.width) == (64, 128)
    other = rendered(photo, Source(variants={"x": small, "y": VariantSpec(width=64, quality=30)})).variants
    assert len(other[1].data) < len(other[0].data)


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("name", ["hopper.jpg", "hopper.png", "4.webp", "fox.avif", "arrow.heic"])
def test_truncated_file_is_refused(name: str, cut: float) -> None:
    data = (DATA / "formats" / name).read_bytes()
    with pytest.raises(UndecodableImage, match="damaged or incomplete"):
        rendered(data[: int(len(data) * cut)])


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf\n<?xml version='1.0'?><svg/>", "SVG"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"%PDF-1.7", "PDF"),
        (b"BM\x3a\0\0\0", "BMP"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"", "not a picture"),
        (b"\0" * 100, "not a picture"),
        (b"<?php system('id'); ?>", "not a picture"),
    ],
    ids=["SVG", "SVG after BOM and XML", "TIFF", "PDF", "BMP", "JPEG 2000", "empty", "zeros", "PHP"],
)
def test_unsupported_format_is_named_in_the_error(data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedType, match=named) as refused:
        rendered(data)
    assert "send JPEG, PNG, WebP, GIF, AVIF or HEIC" in refused.value.detail


def test_heic_without_pillow_heif_is_refused_with_the_package_to_install() -> None:
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from mediagate import Source\nfrom mediagate.images.render import render\n"
        "render(open(sys.argv[1], 'rb').read(), Source(), (0.5, 0.5), None)"
    )
    path = DATA / "formats" / "arrow.heic"
    told = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert "UnsupportedType: HEIC is not accepted here" in told.stderr
    assert 'pip install "mediagate[heic]"' in told.stderr


def test_check_pillow_refuses_old_versions() -> None:
    with pytest.raises(ConfigError, match=r"Pillow 12\.3\.0 has known faults.*pillow>=13\.0"):
        check_pillow("12.3.0")
    check_pillow("13.0.0")
    check_pillow("14.1")
    assert "jpeg, png, webp, gif, avif, heic" in codecs()


def test_check_libheif_refuses_versions_with_known_faults() -> None:
    for version in ("1.23.5", "1.9.10", "1.23.5.99"):
        with pytest.raises(ConfigError, match="pillow-heif>="):
            check_libheif(version)
    for version in ("1.23.6", "1.24.0", "2.0"):
        check_libheif(version)
    check_libheif()


@pytest.mark.parametrize("name", ["4.webp", "5_webp_a.webp", "hopper.webp", "animated-loop-3.webp"])
def test_webp_bomb_is_refused_by_its_header(name: str) -> None:
    data = bytearray((DATA / "formats" / name).read_bytes())
    if data[12:16] == b"VP8X":
        data[24:30] = b"\xfe\x3f\0\xfe\x3f\0"
    elif data[12:16] == b"VP8L":
        data[21:25] = b"\xfe\xff\xff\x0f"
    else:
        data[26:30] = b"\xff\x3f\xff\x3f"
    with pytest.raises(ImageTooLarge, match="16383 x 16383 pixels; up to 50,000,000"):
        rendered(bytes(data))
    lossless = saved(read(DATA / "formats" / name).convert("RGB"), "WEBP", lossless=True)
    assert rendered(lossless).info.width == read(DATA / "formats" / name).width


def test_randomly_damaged_file_is_refused_or_rendered() -> None:
    import random

    chance = random.Random(7)
    refused = 0
    for name in ("hopper.jpg", "hopper.png", "hopper.gif", "hopper.webp", "rotating-squares.gif", "p3.png"):
        data = (DATA / "formats" / name).read_bytes()
        for _ in range(40):
            broken = bytearray(data)
            for _ in range(chance.randrange(1, 20)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            try:
                rendered(bytes(broken), Source(variants={"xs": VariantSpec(width=64)}, animation="keep"))
            except MediagateError as exc:
                assert isinstance(exc, UndecodableImage | UnsupportedType) or exc.status == 422
                refused += 1
    assert refused > 50
