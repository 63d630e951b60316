"""ocr by Tesseract, with the language files of Debian's packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mediagate.errors import OperationFailed
from mediagate.images.operations.ocr import languages, tesseract
from tests.support.printed import CASES, LINES, columns, error_rate, page
from tests.support.recipes import applied, faults
from tests.support.tessdata import need_language

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def english() -> None:
    need_language("eng")


def read(image: Image.Image, **params: Any) -> Any:
    return applied(image, "ocr", engine="tesseract", **params)


@pytest.mark.parametrize("case", ["clean", "white on black", "noise and blur"])
def test_tesseract_reads_a_page(case: str) -> None:
    make, text = CASES[case]
    given = read(make())
    assert error_rate(given["text"], text) == 0
    assert given["engine"] == "tesseract" and 0.9 < given["score"] < 1


def test_tesseract_reads_one_column_after_the_other() -> None:
    assert error_rate(read(columns())["text"], CASES["two columns"][1]) == 0


def test_tesseract_tells_lines_and_words_with_their_places() -> None:
    (told,) = read(page(), layout=True)["pages"]
    lines = [line for block in told["blocks"] for line in block["lines"]]
    assert [line["text"] for line in lines] == list(LINES)
    for number, line in enumerate(lines):
        assert line["text"] == " ".join(word["text"] for word in line["words"])
        assert abs(line["box"]["y"] - (64 + number * 51.2)) < 16
        assert 55 < line["box"]["x"] < 75


@pytest.mark.parametrize(("case", "turn"), [("on its side", 90), ("on its other side", 270), ("upside down", 180)])
def test_tesseract_finds_by_how_much_a_page_is_turned(case: str, turn: int) -> None:
    make, text = CASES[case]
    given = read(make(), detect_orientation=True)
    assert error_rate(given["text"], text) == 0
    assert given["pages"][0]["turn"] == turn


def test_tesseract_reads_russian_which_is_left_to_it(data: Path) -> None:
    need_language("rus")
    with Image.open(data / "ocr" / "russian.png") as image:
        given = applied(image.convert("RGB"), "ocr", language="rus+eng")
    assert (given["engine"], given["languages"]) == ("tesseract", ["rus", "eng"])
    assert given["text"].startswith("Привет, мир! Цена 100") and "мягких булок" in given["text"]


def test_tesseract_of_an_empty_picture_is_empty() -> None:
    given = read(Image.new("RGB", (200, 100), "white"), layout=True, detect_orientation=True)
    assert (given["text"], given["pages"][0]["blocks"]) == ("", [])


def test_tesseract_without_the_file_of_a_language_is_refused() -> None:
    absent = next(code for code in ("tir", "dzo", "yid") if code not in languages.of_tesseract())
    assert faults({"op": "ocr", "language": absent}) == {"/steps/0/language": "operation_unavailable"}


def test_tesseract_with_a_broken_file_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dzo.traineddata").write_bytes(b"broken")
    monkeypatch.setattr(languages, "TESSDATA", (tmp_path,))
    with pytest.raises(OperationFailed, match="cannot load its files of dzo"):
        tesseract.load(("dzo",))


@pytest.mark.parametrize("size", [(32_768, 2), (2, 32_768)])
def test_tesseract_refuses_an_edge_that_it_cannot_take_and_says_what_to_do(size: tuple[int, int]) -> None:
    with pytest.raises(OperationFailed, match="up to 32,767 pixels; crop or resize"):
        read(Image.new("RGB", size, "white"))
