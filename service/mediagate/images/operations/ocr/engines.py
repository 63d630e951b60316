"""The engines: which one reads a request, and what it lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from mediagate.images.operations.ocr.languages import BY_RAPIDOCR, BY_TESSERACT, of_rapidocr, of_tesseract, package_of
from mediagate.images.operations.operation import RAPIDOCR, TESSERACT, Engine

ENGINES = (Engine("rapidocr", RAPIDOCR, of_rapidocr), Engine("tesseract", TESSERACT, of_tesseract))
"""The one that is preferred comes first."""


def chosen(wanted: str | None, languages: Sequence[str]) -> str:
    """Return the engine for these languages: the one that is wanted, else the first that can read them here.

    If none can, it is the first that could once something is installed.
    """
    if wanted is not None:
        return wanted
    for engine in ENGINES:
        if engine.needs.available and set(languages) <= set(engine.languages()):
            return engine.name
    return "rapidocr" if set(languages) <= BY_RAPIDOCR.keys() else "tesseract"


def lacks(engine: str | None, languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each of the two parameters for which something is missing, with what to do."""
    name = chosen(engine, languages)
    if name == "rapidocr":
        yield from _lacks_rapidocr(languages)
    else:
        yield from _lacks_tesseract(languages)


def _lacks_rapidocr(languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not RAPIDOCR.available:
        yield "engine", RAPIDOCR.pip
    if foreign := _missing(languages, BY_RAPIDOCR):
        yield "language", f'rapidocr does not read {", ".join(foreign)}; leave engine out, or use "tesseract"'


def _lacks_tesseract(languages: Sequence[str]) -> Iterator[tuple[str, str]]:
    if foreign := _missing(languages, BY_TESSERACT):
        yield "language", f"tesseract does not read {', '.join(foreign)}; leave engine out, or ask for one language"
        return
    needed = [] if TESSERACT.available else [TESSERACT.pip]
    if absent := _missing(languages, of_tesseract()):
        needed.append(f"apt-get install {' '.join(map(package_of, absent))}")
    if needed:
        yield "language", " && ".join(needed)


def _missing(languages: Sequence[str], known: Collection[str]) -> list[str]:
    return [language for language in languages if language not in known]
