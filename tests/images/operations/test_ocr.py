"""ocr by RapidOCR: text, order, places, turned pages, other scripts, and what it needs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from mediagate.errors import OperationFailed
from mediagate.images.operations import Context, Extra, estimate, parse, standard
from mediagate.images.operations.ocr import engines, languages, ocr, rapid
from tests.support.charts import ramp
from tests.support.printed import CASES, INK, LINES, columns, error_rate, page, photographed, signs
from tests.support.recipes import OPERATIONS, applied, faults, ran, still

pytestmark = pytest.mark.slow
SHORT = LINES[1:3]


def short() -> Image.Image:
    """Return a page with two lines."""
    return page(SHORT, size=(760, 200))


def read(image: Image.Image, context: Context | None = None, **params: Any) -> Any:
    return applied(image, "ocr", context, engine="rapidocr", **params)


@pytest.mark.parametrize("case", ["clean", "letters of 14 pixels", "white on black", "noise and blur"])
def test_ocr_reads_a_page_without_a_fault(case: str) -> None:
    make, text = CASES[case]
    given = read(make())
    assert given["text"] == text
    assert given["score"] > 0.95
    assert (given["engine"], given["languages"]) == ("rapidocr", ["eng"])


def test_ocr_reads_a_photographed_page_and_signs() -> None:
    assert error_rate(read(photographed(page()))["text"], "\n".join(LINES)) <= 0.01
    assert "Platform 9" in read(signs())["text"]


def test_ocr_reads_one_column_after_the_other() -> None:
    heading, left, right = read(columns())["text"].split("\n\n")
    assert f"{heading}\n{left}\n{right}" == CASES["two columns"][1]


def test_ocr_reads_german(data: Path) -> None:
    with Image.open(data / "ocr" / "german.png") as image:
        given = read(image.convert("RGB"), language="deu")
    assert given["text"] == "Größe: 12 Äpfel für 3,50 €\nÖffnungszeiten täglich außer montags"


def test_ocr_tells_where_each_word_is() -> None:
    image = short()
    given = read(image, layout=True)
    lines = [line for block in given["pages"][0]["blocks"] for line in block["lines"]]
    assert [line["text"] for line in lines] == list(SHORT)
    font, draw = ImageFont.load_default(32), ImageDraw.Draw(Image.new("RGB", image.size))
    for number, line in enumerate(lines):
        begin = 0
        for word in line["words"]:
            begin = SHORT[number].index(word["text"], begin)
            left = 64 + font.getlength(SHORT[number][:begin])
            true = draw.textbbox((left, 64 + number * 51.2), word["text"], font=font)
            assert abs(word["box"]["x"] - true[0]) < 20, word
            assert abs(word["box"]["x"] + word["box"]["width"] - true[2]) < 20, word
            assert word["box"]["y"] <= true[1] + 4 and word["box"]["y"] + word["box"]["height"] >= true[3] - 4
            assert word["score"] > 0.9
            begin += len(word["text"])


@pytest.mark.parametrize(("by", "turn"), [(90, 270), (180, 180), (270, 90)])
def test_ocr_finds_by_how_much_a_page_is_turned(by: int, turn: int) -> None:
    image = page()
    clockwise = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
    lying = image.transpose(clockwise[by])
    given = read(lying, detect_orientation=True, layout=True)
    assert given["text"] == "\n".join(LINES)
    (told,) = given["pages"]
    assert (told["turn"], told["width"], told["height"]) == (turn, *lying.size)
    paper = np.asarray(lying.convert("L"))
    for block in told["blocks"]:
        for line in block["lines"]:
            box = line["box"]
            cut = paper[box["y"] : box["y"] + box["height"], box["x"] : box["x"] + box["width"]]
            assert cut.min() < 90, "no ink where the line is said to be"
            assert (box["height"] > box["width"]) == (by != 180)


def test_ocr_of_an_upright_page_tells_no_turn() -> None:
    assert read(short(), detectOrientation=True)["pages"][0]["turn"] == 0


def test_ocr_of_a_script_that_the_model_drops_gives_no_wrong_text(data: Path) -> None:
    context = Context()
    with Image.open(data / "ocr" / "russian.png") as image:
        given = read(image.convert("RGB"), context, min_score=0.6)
    assert given["text"] == ""
    ((code, detail),) = context.warnings
    assert code == "text_missing" and "in them: 3;" in detail


def test_ocr_does_not_warn_about_a_page_that_it_reads() -> None:
    context = Context()
    lines = ("WWW MMM", "Chapter 1", "T I T L E", "1,000.00")
    read(page(lines, size=(700, 400)), context)
    assert context.warnings == []


@pytest.mark.parametrize("image", [Image.new("RGB", (300, 200), "white"), ramp(200, 9), Image.new("RGBA", (7, 1))])
def test_ocr_of_a_picture_without_text_is_empty(image: Image.Image) -> None:
    given = read(image, layout=True, detect_orientation=True)
    assert (given["text"], given["score"], given["pages"][0]["blocks"]) == ("", 0, [])


def test_models_are_loaded_before_the_first_picture() -> None:
    rapid.load.cache_clear()
    engine = vars(rapid.load())
    assert engine["text_det"] is not None and engine["text_rec"] is not None


def test_ocr_of_marks_that_run_downwards_without_letters_tells_no_turn() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (2, 1, 3), dtype=np.uint8)
    (told,) = read(Image.fromarray(noise), detect_orientation=True)["pages"]
    assert (told["text"], told["turn"]) == ("", 0)


@pytest.mark.parametrize("ink", [(255, 255, 255), INK])
def test_ocr_reads_letters_on_transparency(ink: tuple[int, int, int]) -> None:
    image = Image.new("RGBA", (700, 120), (*ink, 0))
    ImageDraw.Draw(image).text((40, 40), SHORT[0], (*ink, 255), ImageFont.load_default(32))
    assert read(image)["text"] == SHORT[0]


def test_ocr_reads_each_frame_as_a_page() -> None:
    frames = still(page(SHORT[:1], size=(760, 200)), page(SHORT[1:], size=(760, 200)))
    given = applied(frames, "ocr", engine="rapidocr")
    assert given["text"] == "\f".join(SHORT)
    assert [one["text"] for one in given["pages"]] == list(SHORT)


def test_ocr_leaves_lines_out_that_it_is_not_sure_of() -> None:
    turned = page().transpose(Image.Transpose.ROTATE_180)
    assert len(read(turned, min_score=0.9)["text"]) < len(read(turned, min_score=0)["text"]) / 2


def test_ocr_refuses_more_words_than_it_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "MOST_WORDS", 3)
    with pytest.raises(OperationFailed, match="leave layout out"):
        read(short(), layout=True)
    monkeypatch.setattr(ocr, "MOST_CHARACTERS", 10)
    with pytest.raises(OperationFailed, match="read fewer pages"):
        read(short())


def test_ocr_as_a_step_gives_data() -> None:
    produced = ran(short(), {"op": "ocr", "engine": "rapidocr", "layout": True})
    (given,) = produced.data
    assert given.op == "ocr" and given.value["text"] == "\n".join(SHORT)
    assert json.loads(json.dumps(given.value)) == given.value


def test_cost_of_ocr_counts_pages_and_stops_at_the_size_that_is_searched() -> None:
    recipe = parse([{"op": "ocr"}], OPERATIONS)
    ((small,), (large,), (ten,)) = (
        estimate(recipe, OPERATIONS, (1200, 1000)),
        estimate(recipe, OPERATIONS, (4000, 3000)),
        estimate(recipe, OPERATIONS, (4000, 3000), frames=10),
    )
    assert small.cost.cpu_ms < large.cost.cpu_ms < 2 * small.cost.cpu_ms
    assert ten.cost.cpu_ms == pytest.approx(10 * large.cost.cpu_ms)
    assert ten.cost.bytes == large.cost.bytes < 512 * 1024 * 1024


def test_ocr_refuses_languages_that_no_engine_reads_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "TESSDATA", ())
    assert faults({"op": "ocr", "language": "rus"}) == {"/steps/0/language": "operation_unavailable"}
    assert faults({"op": "ocr", "language": "eng+ell"}) == {"/steps/0/language": "operation_unavailable"}
    assert faults({"op": "ocr", "language": "deu+fra"}) == {}
    (fault,) = engines.lacks(None, ["chi_sim_vert", "eng"])
    assert fault == ("language", "apt-get install tesseract-ocr-chi-sim-vert tesseract-ocr-eng")


def test_ocr_refuses_an_engine_that_does_not_read_the_language() -> None:
    step = {"op": "ocr", "engine": "rapidocr", "language": "rus"}
    assert faults(step) == {"/steps/0/language": "operation_unavailable"}
    (fault,) = engines.lacks("tesseract", ["roh"])
    assert fault[0] == "language" and "tesseract does not read roh" in fault[1]


def test_ocr_without_its_extras_tells_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Extra("ocr", "no_such_module"), Extra("tesseract", "no_such_module")
    monkeypatch.setattr(engines, "RAPIDOCR", absent[0])
    monkeypatch.setattr(engines, "TESSERACT", absent[1])
    monkeypatch.setattr(languages, "TESSDATA", ())
    assert list(engines.lacks("rapidocr", ["eng"])) == [("engine", 'pip install "mediagate[ocr]"')]
    assert list(engines.lacks("tesseract", ["rus"])) == [
        ("language", 'pip install "mediagate[tesseract]" && apt-get install tesseract-ocr-rus')
    ]
    made = standard()
    bare = [engine._replace(needs=extra) for engine, extra in zip(engines.ENGINES, absent, strict=True)]
    made.replace(dataclasses.replace(made["ocr"], engines=tuple(bare)))
    (told,) = (each for each in made.describe() if each["op"] == "ocr")
    assert told["available"] is False
    assert [engine["install"] for engine in told["engines"]] == [extra.pip for extra in absent]


@pytest.mark.parametrize(
    ("language", "hint"),
    [("en", "write 'eng'"), ("deutsch", "no language 'deutsch'"), ("enk", "did you mean"), ("../eng", "no language")],
)
def test_ocr_refuses_unknown_languages(language: str, hint: str) -> None:
    assert faults({"op": "ocr", "language": language}) == {"/steps/0/language": "invalid_value"}
    with pytest.raises(ValueError, match=hint):
        languages.checked(language)


def test_ocr_refuses_more_than_five_languages() -> None:
    assert faults({"op": "ocr", "language": "eng+deu+fra+ita+spa+por"}) == {"/steps/0/language": "invalid_value"}


def test_ocr_lists_its_engines_and_their_languages() -> None:
    (told,) = (each for each in OPERATIONS.describe() if each["op"] == "ocr")
    rapidocr, tesseract = told["engines"]
    assert told["available"] and rapidocr["available"]
    assert "deu" in rapidocr["languages"] and not {"rus", "ell", "vie", "ara"} & set(rapidocr["languages"])
    assert tesseract["languages"] == list(languages.of_tesseract())
