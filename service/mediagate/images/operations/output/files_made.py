"""How many files steps make, known before they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mediagate.images.operations.document.page_numbers import ALL, numbers
from mediagate.images.operations.recipe import SAVE


def files_made(steps: Sequence[Mapping[str, Any]], pages: Iterable[int | None]) -> int:
    """Return how many files steps, as ``Recipe.to_json`` writes them, make of inputs.

    ``pages`` has for each input the pages of the document, of which the first step may choose some; ``None`` is a
    picture. A job that is COMPLETE has this many outputs: it fails if a picture to save is missing.
    """
    saves = [step for step in steps if step["op"] == SAVE]
    joined = sum(bool(step.get("join")) for step in saves)
    chosen = steps[0].get("pages", ALL) if steps and steps[0]["op"] == "render" else ALL
    entering = sum(1 if count is None else sum(1 for _ in numbers(chosen, count)) for count in pages)
    return (len(saves) - joined) * entering + joined
