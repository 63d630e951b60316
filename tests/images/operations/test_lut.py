"""lut: tables of callers, beside interpolation by hand; and hostile ones."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from PIL import Image

from mediagate.images.operations import parse
from mediagate.images.operations.filter.cube import LONGEST_TEXT, InvalidCube, read_cube
from tests.support.charts import ramp
from tests.support.recipes import OPERATIONS, array, faults, image_of


def cube(edge: int, change: str = "identity", head: str = "") -> str:
    """Return a table whose red changes fastest."""
    lines = [head, f"LUT_3D_SIZE {edge}"]
    for blue, green, red in product(range(edge), repeat=3):
        colour = [part / (edge - 1) for part in (red, green, blue)]
        if change == "inverse":
            colour = [1 - part for part in colour]
        if change == "swapped":
            colour = [colour[2], colour[0], colour[1]]
        lines.append(" ".join(f"{part:.6f}" for part in colour))
    return "\n".join(lines)


@pytest.mark.parametrize("edge", [2, 3, 17, 33])
def test_lut_of_the_identity_changes_nothing(edge: int) -> None:
    picture = ramp(40, 30)
    assert np.abs(array(image_of(picture, "lut", cube=cube(edge))) - array(picture)).max() <= 1


def test_lut_reads_red_fastest() -> None:
    made = image_of(Image.new("RGB", (2, 2), (200, 100, 50)), "lut", cube=cube(2, "swapped"))
    assert array(made)[0, 0] == pytest.approx([50, 200, 100], abs=1)


def test_lut_mixes_by_its_intensity() -> None:
    picture = ramp(40, 30)
    made = array(image_of(picture, "lut", cube=cube(5, "inverse"), intensity=25))
    assert np.abs(made - (array(picture) * 0.75 + (255 - array(picture)) * 0.25)).max() <= 2


def test_lut_accepts_titles_comments_and_blank_lines() -> None:
    head = '# made by hand\n\nTITLE "A title"\nDOMAIN_MIN 0 0 0\nDOMAIN_MAX 1.0 1.0 1.0'
    assert faults({"op": "lut", "cube": cube(2, head=head).replace("\n", "\r\n")}) == {}


def test_lut_stores_the_table_alone() -> None:
    long = cube(17, head="# " + "x" * 200 + "\n" + "\n".join(["# comment"] * 1000))
    (step,) = parse([{"op": "lut", "cube": long}], OPERATIONS).steps[:1]
    stored = step.to_json()["cube"]
    assert len(stored) < 17**3 * 24 and "comment" not in stored
    assert read_cube(stored).table == pytest.approx(read_cube(long).table, abs=0.00006)
    assert parse([step.to_json()], OPERATIONS).steps[0] == step


def test_lut_clips_what_lies_slightly_beyond_the_range() -> None:
    text = "LUT_3D_SIZE 2\n" + "-0.01 1.02 1.5\n" * 8
    assert image_of(Image.new("RGB", (1, 1)), "lut", cube=text).getpixel((0, 0)) == (0, 255, 255)


ENTRY = "0 0 0\n"
HOSTILE = {
    "nothing": "",
    "no size": ENTRY * 8,
    "size after colours": ENTRY * 8 + "LUT_3D_SIZE 2",
    "two sizes": "LUT_3D_SIZE 2\nLUT_3D_SIZE 3\n" + ENTRY * 27,
    "size of 1": "LUT_3D_SIZE 1\n" + ENTRY,
    "size of 34": "LUT_3D_SIZE 34\n" + ENTRY * 34**3,
    "huge size": "LUT_3D_SIZE 99999999999999999999\n",
    "negative size": "LUT_3D_SIZE -2\n" + ENTRY * 8,
    "size in other digits": "LUT_3D_SIZE ٢\n" + ENTRY * 8,
    "one dimension": "LUT_1D_SIZE 2\n" + ENTRY * 2,
    "one colour less": "LUT_3D_SIZE 2\n" + ENTRY * 7,
    "one colour more": "LUT_3D_SIZE 2\n" + ENTRY * 9,
    "NaN": "LUT_3D_SIZE 2\n" + ENTRY * 7 + "nan 0 0",
    "infinity": "LUT_3D_SIZE 2\n" + ENTRY * 7 + "0 inf 0",
    "huge number": "LUT_3D_SIZE 2\n" + ENTRY * 7 + "0 0 1e308",
    "overflow": "LUT_3D_SIZE 2\n" + ENTRY * 7 + "0 0 1e999",
    "far beyond": "LUT_3D_SIZE 2\n" + ENTRY * 7 + "0 0 2.1",
    "far below": "LUT_3D_SIZE 2\n" + ENTRY * 7 + "0 0 -1.1",
    "underscore": "LUT_3D_SIZE 2\n" + ENTRY * 7 + "0 0 1_0",
    "hexadecimal": "LUT_3D_SIZE 2\n" + ENTRY * 7 + "0 0 0x1",
    "two numbers": "LUT_3D_SIZE 2\n" + ENTRY * 7 + "0 0",
    "four numbers": "LUT_3D_SIZE 2\n" + ENTRY * 7 + "0 0 0 0",
    "other domain": "DOMAIN_MAX 2 2 2\nLUT_3D_SIZE 2\n" + ENTRY * 8,
    "unknown keyword": "LUT_3D_INPUT_RANGE 0 1\nLUT_3D_SIZE 2\n" + ENTRY * 8,
    "long line": "LUT_3D_SIZE 2\n" + ENTRY * 7 + "0 0 0." + "0" * 300,
    "zero bytes": "\0" * 100,
    "binary": bytes(range(1, 128)).decode(),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_tables_are_faults(text: str) -> None:
    assert faults({"op": "lut", "cube": text}) == {"/steps/0/cube": "invalid_value"}


def test_long_tables_are_faults() -> None:
    assert faults({"op": "lut", "cube": "#" * (LONGEST_TEXT + 1)}) == {"/steps/0/cube": "too_long"}
    with pytest.raises(InvalidCube, match="longer than"):
        read_cube("#" * (LONGEST_TEXT + 1))


def test_fault_names_the_line() -> None:
    with pytest.raises(InvalidCube, match="line 4: not three finite numbers"):
        read_cube("# a\n\nLUT_3D_SIZE 2\nnan 0 0")
