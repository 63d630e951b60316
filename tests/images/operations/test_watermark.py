"""watermark: texts and pictures, placed and tiled."""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont

from mediagate.errors import ConfigError
from mediagate.images.operations import Context, standard, watermark_in
from tests.support.charts import corners, ramp, saved
from tests.support.recipes import applied, array, faults, image_of, ran, still

GREY = Image.new("RGB", (200, 100), (100, 100, 100))


def font_bytes() -> bytes:
    """Return the font that Pillow brings, as a file."""
    font = ImageFont.load_default(10)
    assert isinstance(font, ImageFont.FreeTypeFont)
    file: Any = font.path
    assert isinstance(file, BytesIO)
    return file.getvalue()


def changed(made: Image.Image, before: Image.Image = GREY) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what differs."""
    rows, columns = np.nonzero(np.abs(array(made)[..., :3] - array(before)[..., :3]).max(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


@pytest.mark.parametrize(
    ("position", "horizontal", "vertical"),
    [("top_left", 0, 0), ("top", 1, 0), ("bottom_right", 2, 2), ("centre", 1, 1), ("left", 0, 1), ("bottom", 1, 2)],
)
def test_text_lies_at_its_position(position: str, horizontal: int, vertical: int) -> None:
    left, top, right, bottom = changed(image_of(GREY, "watermark", text="Hello", position=position, opacity=100))
    assert right - left == pytest.approx(50, abs=4)
    assert (
        [(left + right) / 2 < 70, (left + right) / 2 > 130].index(True) * 2 == horizontal
        if horizontal != 1
        else 70 < (left + right) / 2 < 130
    )
    assert (top + bottom) / 2 == pytest.approx([3 + (bottom - top) / 2, 50, 97 - (bottom - top) / 2][vertical], abs=3)


def test_opacity_mixes_the_mark_with_the_picture() -> None:
    logo = Context(inputs={"logo": still(Image.new("RGB", (10, 10), (200, 0, 0)))})
    made = image_of(GREY, "watermark", logo, picture="logo", opacity=25, position="centre", size=20)
    assert array(made)[50, 100] == pytest.approx([125, 75, 75], abs=1)
    assert changed(made) == (80, 30, 120, 70)


def test_picture_keeps_its_transparency() -> None:
    stamp = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    stamp.paste((255, 255, 255, 255), (10, 0, 20, 20))
    made = image_of(
        GREY, "watermark", Context(inputs={"a": still(stamp)}), picture="a", opacity=100, size=10, position="centre"
    )
    assert array(made)[50, 92].tolist() == [100] * 3 and array(made)[50, 107].tolist() == [255] * 3


def test_tiles_cover_the_whole_picture() -> None:
    made = image_of(GREY, "watermark", text="no", tiled=True, opacity=100, size=10)
    quarters = [(0, 0, 100, 50), (100, 0, 200, 50), (0, 50, 100, 100), (100, 50, 200, 100)]
    for box in quarters:
        difference = np.abs(array(made.crop(box)) - 100).max(axis=2)
        assert 0.02 < (difference > 20).mean() < 0.6


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (7, 5)])
@pytest.mark.parametrize("params", [{}, {"tiled": True}, {"degrees": 45.0}, {"size": 100.0}, {"margin": 50.0}])
def test_marks_fit_into_tiny_pictures(size: tuple[int, int], params: dict[str, Any]) -> None:
    assert image_of(ramp(*size), "watermark", text="a long text for this", **params).size == size


def test_mark_lies_on_every_frame_and_keeps_transparency_elsewhere() -> None:
    frames = still(*(Image.new("RGBA", (100, 50), (0, 0, 0, 0)) for _ in range(2)))
    made = applied(frames, "watermark", text="Hello", opacity=100)
    for image in made.images:
        alpha = array(image)[..., 3]
        assert alpha.max() > 240 and (alpha == 0).mean() > 0.5


def test_letters_that_the_font_lacks_are_told() -> None:
    context = Context()
    image_of(GREY, "watermark", context, text="© Grün 文字")
    assert context.warnings == [("missing_glyphs", "the font has no ü 文 字")]


def test_operator_may_set_a_font(tmp_path: Path) -> None:
    path = tmp_path / "own.ttf"
    path.write_bytes(font_bytes())
    operation = watermark_in(path)
    assert operation.reads == (path,)
    assert pickle.loads(pickle.dumps(operation)).reads == (path,)
    operations = standard()
    operations.replace(operation)
    own, usual = (ran(GREY, {"op": "watermark", "text": "Hi"}, operations=each) for each in (operations, standard()))
    assert own.outputs == usual.outputs
    with pytest.raises(ConfigError, match="is not a font"):
        watermark_in(tmp_path / "missing.ttf")


def test_input_of_the_watermark_is_a_file_of_the_request() -> None:
    made = ran(
        GREY, {"op": "watermark", "picture": "logo", "opacity": 100}, inputs={"logo": saved(corners(20, 20), "PNG")}
    )
    assert len(made.outputs) == 1


@pytest.mark.parametrize(
    "step",
    [
        {},
        {"text": "a", "picture": "logo"},
        {"text": ""},
        {"text": "  "},
        {"text": "a\nb"},
        {"text": "a\u202eb"},
        {"text": "a" * 201},
        {"text": "a", "size": 0},
        {"text": "a", "opacity": 101},
        {"text": "a", "colour": "white"},
        {"picture": "unknown"},
        {"picture": "../logo"},
    ],
)
def test_watermark_refuses_what_it_cannot_draw(step: dict[str, Any]) -> None:
    assert faults({"op": "watermark", **step}, inputs=("logo",))
