"""Shapes of untrusted JSON: each reads one kind of value and rejects every other."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar, Generic, Protocol, TypeVar


class Dataclass(Protocol):
    """An instance of any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


T = TypeVar("T", bound=Dataclass)
Read = Callable[[Any], Any]
"""Checks a JSON value and returns the Python value that it represents; raises ``Malformed``."""


DEEPEST = 20
FURTHEST = 1e300
"""Numbers beyond this are not read: NaN and infinity compare so, and few programs can read larger ones."""


class Malformed(Exception):
    """A malformed answer of an image process. The message names the place and the rule, and quotes nothing of it."""


def whole(least: int, most: int) -> Read:
    """Read an integer within these bounds."""

    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise Malformed(f"not an integer within {least}-{most}")
        return value

    return read


def number(most: float = math.inf) -> Read:
    """Read a finite number from 0 to ``most``."""

    def read(value: Any) -> float:
        # bool is an int to Python; NaN and infinity are not JSON, but Python's parser accepts them.
        if type(value) not in (int, float) or not (0 <= value <= most and math.isfinite(value)):
            raise Malformed(f"not a number within 0-{most:g}")
        return float(value)

    return read


def flag(value: Any) -> bool:
    """Read true or false."""
    if type(value) is not bool:
        raise Malformed("neither true nor false")
    return value


def text(longest: int, pattern: str = "(?s:.*)") -> Read:
    """Read a string of at most ``longest`` characters that matches the pattern."""
    allowed = re.compile(pattern)

    def read(value: Any) -> str:
        if type(value) is not str or len(value) > longest or not allowed.fullmatch(value):
            raise Malformed(f"not a matching string of up to {longest} characters")
        return value.encode("utf-8", "replace").decode()  # lone surrogates would fail when written

    return read


def several(item: Read, most: int) -> Read:
    """Read a list as a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) > most:
            raise Malformed(f"not a list of up to {most} items")
        return tuple(map(item, value))

    return read


def table(name: Read, item: Read, most: int) -> Read:
    """Read an object with arbitrary names."""

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict or len(value) > most:
            raise Malformed(f"not an object of up to {most} names")
        return {name(key): item(one) for key, one in value.items()}

    return read


def json_object(most: int, longest: int) -> Read:
    """Read an object of any JSON with at most ``most`` values and ``longest`` characters in each string."""
    string = text(longest)

    def read(value: Any) -> dict[str, Any]:
        left = most

        def copied(part: Any, depth: int) -> Any:
            nonlocal left
            left -= 1
            if left < 0 or depth > DEEPEST:
                raise Malformed(f"more than {most} values, or too deep")
            if part is None or type(part) is bool:
                return part
            if type(part) is str:
                return string(part)
            if type(part) in (int, float):
                if not -FURTHEST <= part <= FURTHEST:
                    raise Malformed("not a finite number")
                return part
            if type(part) is list:
                return [copied(one, depth + 1) for one in part]
            if type(part) is not dict:
                raise Malformed("not JSON")
            return {string(name): copied(one, depth + 1) for name, one in part.items()}

        if type(value) is not dict:
            raise Malformed("not an object")
        made: dict[str, Any] = copied(value, 0)
        return made

    return read


def optional(item: Read) -> Read:
    """Read null, or a value."""
    return lambda value: None if value is None else item(value)


class Shape(Generic[T]):
    """Reads an object as a dataclass. Raises ``TypeError`` unless each field has exactly one reader."""

    def __init__(self, made: type[T], **readers: Read) -> None:
        if readers.keys() != {field.name for field in fields(made)}:
            raise TypeError(f"readers and fields of {made.__name__} differ")
        self._made = made
        self._readers = readers

    def __call__(self, value: Any) -> T:
        if type(value) is not dict or value.keys() != self._readers.keys():
            raise Malformed(f"not a {self._made.__name__}")
        read = {}
        for name, reader in self._readers.items():
            try:
                read[name] = reader(value[name])
            except Malformed as exc:
                raise Malformed(f"{self._made.__name__}.{name}: {exc}") from None
        return self._made(**read)
