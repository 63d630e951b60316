"""Bodies as another service prints them, beside real answers: the same names, and the same JSON types."""

from __future__ import annotations

from typing import Any


def shape(value: Any) -> Any:
    """Return the names and JSON types of a body; a list has the shape of its first member."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(member) for member in value[:1]]
    return type(value).__name__
