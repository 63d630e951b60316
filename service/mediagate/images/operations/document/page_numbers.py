"""The pages of a document that are asked for: ``1-3,5``, ``all``, ``last``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Annotated

from pydantic import AfterValidator, Field

from mediagate.errors import OperationFailed

ALL, LAST = "all", "last"
_PART = re.compile(r"([1-9]\d{0,6}|last)(?:-([1-9]\d{0,6}|last))?")


def _checked(pages: str) -> str:
    for part in pages.split(",") if pages != ALL else ():
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError('not page numbers; write "all", "last", or numbers from 1 and ranges such as "1-3,5"')
        first, last = found.groups()
        if LAST not in (first, last) and last is not None and int(last) < int(first):
            raise ValueError(f"the range {part} ends before it begins")
    return pages


PageNumbers = Annotated[str, Field(max_length=200), AfterValidator(_checked)]


def numbers(pages: str, count: int) -> Iterator[int]:
    """Return the numbers in the order in which they are written, each once, for a document of ``count`` pages.

    Raises ``OperationFailed`` for a page beyond the end, and for a range without pages.
    """
    return _once([_range(part, count) for part in ("1-last" if pages == ALL else pages).split(",")])


def _range(part: str, count: int) -> range:
    first, _, last = part.partition("-")
    begin, end = (count if one == LAST else int(one) for one in (first, last or first))
    if max(begin, end) > count:
        raise OperationFailed(f"the document has {count} pages, and page {max(begin, end)} was asked for")
    if end < begin:
        raise OperationFailed(f"the document has {count} pages, so {part} names none")
    return range(begin, end + 1)


def _once(ranges: Iterable[range]) -> Iterator[int]:
    # One by one: a small file can claim a million pages, and a text can name all of them many times.
    seen: set[int] = set()
    for number in chain.from_iterable(ranges):
        if number not in seen:
            seen.add(number)
            yield number
