"""The pages of a document that are asked for: ``1-3,5``, ``all``, ``last``."""

from __future__ import annotations

import re
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


def numbers(pages: str, count: int) -> tuple[int, ...]:
    """Return the numbers in the order in which they are written, each once, for a document of ``count`` pages.

    Raises ``OperationFailed`` for a page beyond the end.
    """
    if pages == ALL:
        return tuple(range(1, count + 1))
    found: dict[int, None] = {}
    for part in pages.split(","):
        first, _, last = part.partition("-")
        ends = [count if end == LAST else int(end) for end in (first, last or first)]
        if max(ends) > count:
            raise OperationFailed(f"the document has {count} pages, and page {max(ends)} was asked for")
        found |= dict.fromkeys(range(ends[0], ends[1] + 1))
    if not found:
        raise OperationFailed(f"the document has {count} pages, so {pages} names none")
    return tuple(found)
