"""The line of ``mediagate doctor`` about operations: what is installed for them, and what could be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mediagate.operations import Extra, Operation, Operations


async def describe(operations: Operations) -> str:
    """Return how many operations there are, the extras, the engines with their languages, and what could be added."""
    extras = dict.fromkeys(extra for operation in operations.values() for extra in _extras(operation))
    installed = ", ".join(extra.name for extra in extras if extra.available)
    missing = ", ".join(extra.pip for extra in extras if not extra.available)
    engines = [line for operation in operations.values() for line in _engines(operation)]
    parts = [f"{len(operations)}", f"extras: {installed or 'none'}", *engines, f"not installed: {missing or 'none'}"]
    return "; ".join(parts)


def _engines(operation: Operation[Any]) -> Iterator[str]:
    for engine in operation.engines:
        if engine.needs.available:
            languages = engine.languages()
            known = ", ".join(languages) if len(languages) <= 10 else f"{len(languages)} languages"
            yield f"{operation.name} by {engine.name}: {known or 'no language file'}"


def _extras(operation: Operation[Any]) -> Iterator[Extra]:
    for extra in (operation.needs, *operation.options_need.values(), *(engine.needs for engine in operation.engines)):
        if extra is not None:
            yield extra
