"""ocr: read the text of a picture or of pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Literal

from PIL import Image, ImageStat
from pydantic import AfterValidator, AliasChoices, Field

from mediagate.errors import OperationFailed
from mediagate.images.operations.canvas import behind
from mediagate.images.operations.costs import READING
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.ocr import rapid, tesseract
from mediagate.images.operations.ocr.engines import ENGINES, chosen, lacks
from mediagate.images.operations.ocr.languages import TESSDATA, checked
from mediagate.images.operations.ocr.orientation import read_upright
from mediagate.images.operations.ocr.reading import Block, Page, block_json
from mediagate.images.operations.operation import Context, Json, Operation, Params
from mediagate.images.operations.parameters import Fraction

MOST_WORDS = 8000
"""Words with their places in one result."""
MOST_CHARACTERS = 100_000
"""Characters of the text of one result."""
PAGE_BREAK = "\f"
BRIGHT = 127


class Ocr(Params):
    """Read the text of the picture, in reading order; of several frames or pages, one after another."""

    language: Annotated[str, Field(max_length=100), AfterValidator(checked)] = Field(
        "eng", description='the language of the text, as Tesseract calls it; several: "deu+eng"'
    )
    layout: bool = Field(False, description="whether to tell blocks, lines and words with their places and scores")
    engine: Literal["rapidocr", "tesseract"] | None = Field(
        None, description="unset: rapidocr where it reads the language, else tesseract"
    )
    detect_orientation: bool = Field(
        False,
        description="whether to find out if the page lies on a side or upside down; takes up to twice as long",
        validation_alias=AliasChoices("detect_orientation", "detectOrientation"),
    )
    min_score: Fraction = Field(0.5, description="lines that the engine is less sure of are left out, 0-1")

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes of the languages."""
        return tuple(dict.fromkeys(self.language.split("+")))


def ocr(frames: Frames, params: Ocr, context: Context) -> Json:
    """Return text and score, and each page with its size and turn, with ``layout`` also its blocks."""
    engine = chosen(params.engine, params.languages)
    read = _reader(engine, params)
    pages = []
    wide = 0
    for image in frames.images:
        opaque = _opaque(image)
        page, turn = read_upright(read, opaque) if params.detect_orientation else (read(opaque), 0)
        wide += page.wide_lines
        pages.append((_sure(page, params.min_score), turn))
    if wide:
        context.warn(
            "text_missing",
            f"lines that are much wider than the letters that were read in them: {wide}; they may have letters of "
            "another script, which this engine leaves out: name their language",
        )
    return _result(engine, params, frames, pages)


def _reader(engine: str, params: Ocr) -> Callable[[Image.Image], Page]:
    if engine == "rapidocr":
        return rapid.read
    return partial(tesseract.read, languages=params.languages)


def _opaque(image: Image.Image) -> Image.Image:
    """Return the picture on white, or on black if what is visible of it is bright."""
    if image.mode == "RGB":
        return image
    visible = ImageStat.Stat(image.convert("L"), image.getchannel("A"))
    bright = visible.count[0] > 0 and visible.mean[0] > BRIGHT
    return behind(image, "#000000ff" if bright else "#ffffffff")


def _sure(page: Page, least: float) -> Page:
    """Return the page without lines of a lower score."""
    blocks = [tuple(line for line in block.lines if line.score >= least) for block in page.blocks]
    return Page(tuple(Block(lines) for lines in blocks if lines))


def _result(engine: str, params: Ocr, frames: Frames, pages: list[tuple[Page, int]]) -> Json:
    words = sum(len(line.words) for page, _ in pages for line in page.lines)
    if params.layout and words > MOST_WORDS:
        raise OperationFailed(f"{words:,} words; up to {MOST_WORDS:,} are told with their places: leave layout out")
    text = PAGE_BREAK.join(page.text for page, _ in pages)
    letters = sum(page.letters for page, _ in pages)
    score = sum(page.score * page.letters for page, _ in pages) / max(1, letters)
    if len(text) > MOST_CHARACTERS:
        raise OperationFailed(f"{len(text):,} characters; up to {MOST_CHARACTERS:,} are told: read fewer pages at once")
    return {
        "engine": engine,
        "languages": list(params.languages),
        "text": text,
        "score": round(score, 3),
        "pages": [
            {
                "width": frames.size[0],
                "height": frames.size[1],
                "turn": turn,
                "text": page.text,
                "score": round(page.score, 3),
                **({"blocks": [block_json(block, frames.size) for block in page.blocks]} if params.layout else {}),
            }
            for page, turn in pages
        ],
    }


def missing(params: Ocr) -> Iterator[tuple[str, str]]:
    """Yield what is not installed for a step."""
    return lacks(params.engine, params.languages)


def load(params: Ocr) -> None:
    """Load the models of a step."""
    if chosen(params.engine, params.languages) == "rapidocr":
        rapid.load()
    else:
        tesseract.load(params.languages)


OCR = Operation(
    "ocr",
    "ocr",
    Ocr,
    ocr,
    READING,
    gives="data",
    engines=ENGINES,
    lacks=missing,
    load=load,
    grows=True,
    reads=TESSDATA,
)
