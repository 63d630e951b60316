"""How well and how fast ``ocr`` reads: character error rate and CPU time of each engine on pages that the tests render.

    python -m bench reading --runs 3
    python -m bench.reading

Each engine gets the same pixels, with ``detect_orientation``. An engine that is not installed is left out. The words
over a photo are compared one by one, in any order.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from statistics import median
from time import process_time

from PIL import Image

from bench.size import Size, add_smallest
from mediagate.images.operations import Context, Frames, parse, standard
from mediagate.images.pixels import limit_threads
from tests.support.printed import CASES, SIGNS, error_rate

OPERATIONS = standard()
ENGINES = ("rapidocr", "tesseract")


def details(size: Size) -> None:
    """Print a row for each page."""
    limit_threads()
    engines = {engine.name for engine in OPERATIONS["ocr"].engines if engine.available and "eng" in engine.languages()}
    cases = CASES if size.is_whole else dict(list(CASES.items())[:1])
    known = [name for name in ENGINES if name in engines]
    print("\n## reading\n\n| page | " + " | ".join(f"{name}: errors | score | CPU" for name in known) + " |")
    print("| --- |" + " --- | --- | --- |" * len(known))
    for name in known:  # loads the models
        _read(Image.new("RGB", (64, 64), "white"), name)
    for what, (make, text) in cases.items():
        image = make()
        cells = []
        for name in known:
            read, score, times = "", 0.0, []
            for _ in range(size.runs):
                began = process_time()
                read, score = _read(image, name)
                times.append((process_time() - began) * 1000)
            cells.append(f"{_errors(what, read, text):.1%} | {score:.2f} | {median(times):,.0f} ms")
        print(f"| {what} | " + " | ".join(cells) + " |", flush=True)


def _read(image: Image.Image, engine: str) -> tuple[str, float]:
    step = parse([{"op": "ocr", "engine": engine, "detect_orientation": True}], OPERATIONS).steps[0]
    given = OPERATIONS["ocr"].apply(Frames((image,)), step.params, Context())
    assert isinstance(given, Mapping)
    return given["text"], given["score"]


def _errors(what: str, read: str, text: str) -> float:
    if what != "words over a photo":
        return error_rate(read, text)
    lines = read.split("\n")
    return sum(min([1.0, *(error_rate(line, sign) for line in lines)]) for sign in SIGNS) / len(SIGNS)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.reading", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1)
    add_smallest(parser)
    options = parser.parse_args()
    details(Size(1, 2, 0.01) if options.smallest else Size(options.runs))


if __name__ == "__main__":
    main()
