"""WebP files decoded by libwebp itself: the same pixels as Pillow's, and Pillow's wherever that cannot be."""

from __future__ import annotations

import io
import logging
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from mediagate.images.pixels import libwebp
from mediagate.images.pixels.fidelity import shows
from tests.support.charts import chart

pytestmark = pytest.mark.skipif(
    libwebp._library() is None, reason="Pillow has no libwebp of its own here, or there is no /proc/self/maps"
)


def picture(mode: str, width: int, height: int) -> Image.Image:
    """Return a picture of fine details; alpha falls from left to right."""
    image = chart(width, height).convert("RGB")
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").rotate(90).resize((width, height)))
    return image


def webp(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", **{"quality": 80, **options})
    return file.getvalue()


@pytest.mark.parametrize("mode", libwebp.MODES)
@pytest.mark.parametrize(
    "options", [{}, {"lossless": True}, {"quality": 0}, {"icc_profile": b"x" * 99, "exif": b"Exif"}]
)
@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 500), (333, 221), (16383, 2)], ids=str)
def test_file_has_the_pixels_that_pillow_decodes(mode: str, size: tuple[int, int], options: dict[str, Any]) -> None:
    file = webp(picture(mode, *size), **options)
    assert libwebp.decodes(file)
    made = libwebp.decode(file, mode).convert("RGBa" if mode == "RGBA" else "RGB")
    theirs = Image.open(io.BytesIO(file)).convert(mode).convert(made.mode)
    assert made.size == size
    assert ImageChops.difference(made, theirs).getbbox() is None


def test_other_files_are_left_to_pillow() -> None:
    frames = [picture("RGB", 40, 30), picture("RGB", 40, 30).rotate(90)]
    jpeg = io.BytesIO()
    frames[0].save(jpeg, "JPEG")
    for file in (webp(frames[0], save_all=True, append_images=frames[1:]), jpeg.getvalue(), b"", b"RIFF"):
        assert not libwebp.decodes(file)


@pytest.mark.parametrize("direct", [True, False], ids=["libwebp", "pillow"])
@pytest.mark.parametrize("mode", libwebp.MODES)
def test_other_picture_is_noticed(monkeypatch: pytest.MonkeyPatch, data: Path, mode: str, direct: bool) -> None:
    monkeypatch.setattr(libwebp, "usable", lambda: direct)
    image = Image.open(data / "formats" / "hopper.jpg").convert("RGB")
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    turned = image.transpose(Image.Transpose.ROTATE_180)
    assert shows(webp(image), [image])
    assert not shows(webp(image), [turned])
    brighter = image.point([min(255, value + 12) for value in range(256)] * 3 + [*range(256)] * (mode == "RGBA"))
    assert not shows(webp(image), [brighter])


@pytest.mark.parametrize("direct", [True, False], ids=["libwebp", "pillow"])
def test_other_transparency_is_noticed(monkeypatch: pytest.MonkeyPatch, direct: bool) -> None:
    monkeypatch.setattr(libwebp, "usable", lambda: direct)
    for colour in ((0, 0, 0), (255, 255, 255), (200, 30, 30)):
        clear, half = (Image.new("RGBA", (64, 64), (*colour, alpha)) for alpha in (0, 120))
        assert shows(webp(half), [half])
        assert not shows(webp(half), [clear])
        assert not shows(webp(clear), [half])


def test_colour_of_what_is_transparent_does_not_count() -> None:
    one, other = Image.new("RGBA", (64, 64), (255, 0, 0, 0)), Image.new("RGBA", (64, 64), (0, 0, 255, 0))
    assert shows(webp(one, exact=True), [other])


@pytest.mark.parametrize("mode", libwebp.MODES)
def test_lack_of_memory_is_an_error_instead_of_a_crash(mode: str) -> None:
    program = f"""
import io
import resource
from pathlib import Path
from PIL import Image
from mediagate.images.pixels import libwebp

assert libwebp.usable()
file = io.BytesIO()
Image.effect_noise((1600, 1000), 90).convert({mode!r}).save(file, "WEBP", quality=80, method=0)
used = int(Path("/proc/self/statm").read_text().split()[0]) * {resource.getpagesize()}
outcomes = set()
for spare in range(1 << 20, 30 << 20, 1 << 20):
    resource.setrlimit(resource.RLIMIT_AS, (used + spare, resource.RLIM_INFINITY))
    try:
        libwebp.decode(file.getvalue(), {mode!r})
    except MemoryError:
        outcomes.add("refused")
    else:
        outcomes.add("decoded")
print(*sorted(outcomes))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.split()) == (0, ["decoded", "refused"]), ran.stderr[-500:]


def inverted(data: bytes, mode: str) -> Image.Image:
    return ImageChops.invert(Image.open(io.BytesIO(data)).convert(mode))


def failing(data: bytes, mode: str) -> Image.Image:
    raise OSError("no such function")


@pytest.mark.parametrize("decode", [inverted, failing])
def test_libwebp_is_not_called_where_it_differs_from_pillow(
    decode: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(libwebp, "decode", decode)
    with caplog.at_level(logging.WARNING, "mediagate"):
        assert not libwebp.usable.__wrapped__()
    assert "libwebp disabled" in caplog.text


@pytest.mark.parametrize("environment", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=["default", "ascii"])
def test_library_is_found_below_a_folder_with_any_name(tmp_path: Path, environment: dict[str, str]) -> None:
    packages = Path(Image.__file__).parents[1]
    folder = tmp_path / os.fsdecode(b"jos\xe9 caf\xc3\xa9")
    for package in [packages / "PIL", *packages.glob("pillow.libs")]:
        shutil.copytree(package, folder / package.name)
    program = "import PIL; from mediagate.images.pixels import libwebp; print(ascii(PIL.__file__), libwebp.usable())"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-500:]
    assert "jos" in ran.stdout
    assert ran.stdout.split()[-1] == "True"
