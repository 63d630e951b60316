"""Fields of values that have columns of the same name, which is in camel case there."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any


def column(field: str) -> str:
    """Return the name of a field's column."""
    first, *rest = field.split("_")
    return first + "".join(word.title() for word in rest)


def as_columns(value: object, *names: str) -> dict[str, Any]:
    """Return the columns of these fields of a value; an enumeration's member is stored as its value."""
    found = {column(name): getattr(value, name) for name in names}
    return {name: one.value if isinstance(one, Enum) else one for name, one in found.items()}


def as_fields(row: object, kind: type[Any]) -> dict[str, Any]:
    """Return the fields of a dataclass for which a row has a column, as they are stored."""
    found = {field.name: column(field.name) for field in fields(kind)}
    return {name: getattr(row, stored) for name, stored in found.items() if hasattr(row, stored)}
