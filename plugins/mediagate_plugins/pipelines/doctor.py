"""The line of ``mediagate doctor`` about operations: what is installed for them, and what could be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mediagate.operations import Operation, Operations


async def describe(operations: Operations) -> str:
    """Return how many operations there are, the engines with their languages, and how to install what is missing."""
    missing = dict.fromkeys(pip for operation in operations.values() for pip in _missing(operation))
    parts = [f"{len(operations)}", *(line for one in operations.values() for line in _engines(one))]
    return "; ".join([*parts, *(f"not installed: {pip}" for pip in missing)])


def _engines(operation: Operation[Any]) -> Iterator[str]:
    for engine in operation.engines:
        if engine.needs.available:
            languages = engine.languages()
            known = ", ".join(languages) if len(languages) <= 10 else f"{len(languages)} languages"
            yield f"{operation.name} by {engine.name}: {known or 'no language file'}"


def _missing(operation: Operation[Any]) -> Iterator[str]:
    extras = [operation.needs, *operation.options_need.values(), *(engine.needs for engine in operation.engines)]
    for extra in extras:
        if extra is not None and not extra.available:
            yield extra.pip
