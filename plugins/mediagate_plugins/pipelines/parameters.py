"""The parameters of a preset: the types of the values that its callers may choose."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mediagate.operations import Item, Place, did_you_mean, item

LONGEST_TEXT = 10_000
LONGEST_SECRET = 127
"""The longest password of a document (ISO 32000-2, section 7.6.4.3.3)."""


@dataclass(frozen=True, slots=True)
class Parameter(ABC):
    """Base of the types: what a value must be, as a check and as a JSON Schema."""

    @property
    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a value."""

    @property
    @abstractmethod
    def samples(self) -> Sequence[Any]:
        """Values at the limits, with which the steps of a preset are checked."""

    @property
    @abstractmethod
    def default(self) -> Any:
        """The value if the caller sends none; ``None``: the caller must send one."""

    @property
    def required(self) -> bool:
        """Whether the caller must send a value."""
        return self.default is None

    @abstractmethod
    def faults(self, value: object, place: Place) -> list[Item]:
        """Return what is wrong with a value."""


@dataclass(frozen=True, slots=True)
class Int(Parameter):
    """A whole number from ``least`` to ``most``."""

    least: int
    most: int
    default: int | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a value."""
        return _with_default({"type": "integer", "minimum": self.least, "maximum": self.most}, self.default)

    @property
    def samples(self) -> Sequence[int]:
        """The lowest and the highest value."""
        return self.least, self.most

    def faults(self, value: object, place: Place) -> list[Item]:
        """Return what is wrong with a value."""
        if not isinstance(value, int) or isinstance(value, bool):
            return [item(place, "wrong_type", "not a whole number", value)]
        return _out_of_range(value, self.least, self.most, place)


@dataclass(frozen=True, slots=True)
class Number(Parameter):
    """A number from ``least`` to ``most``."""

    least: float
    most: float
    default: float | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a value."""
        return _with_default({"type": "number", "minimum": self.least, "maximum": self.most}, self.default)

    @property
    def samples(self) -> Sequence[float]:
        """The lowest and the highest value."""
        return self.least, self.most

    def faults(self, value: object, place: Place) -> list[Item]:
        """Return what is wrong with a value."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not _is_finite(value):
            return [item(place, "wrong_type", "not a number", value)]
        return _out_of_range(value, self.least, self.most, place)


@dataclass(frozen=True, slots=True)
class Text(Parameter):
    """A text of 1 to ``longest`` characters."""

    longest: int
    default: str | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a value."""
        return _with_default({"type": "string", "minLength": 1, "maxLength": self.longest}, self.default)

    @property
    def samples(self) -> Sequence[str]:
        """The shortest and the longest text, of letters only, or the default."""
        return ("a", "a" * self.longest) if self.default is None else (self.default,)

    def faults(self, value: object, place: Place) -> list[Item]:
        """Return what is wrong with a value."""
        if not isinstance(value, str):
            return [item(place, "wrong_type", "not a text", value)]
        if not value:
            return [item(place, "too_short", "at least 1 character", value)]
        if len(value) > self.longest:
            return [item(place, "too_long", f"at most {self.longest:,} characters", value)]
        return []


@dataclass(frozen=True, slots=True, init=False)
class OneOf(Parameter):
    """One of several texts."""

    options: tuple[str, ...]
    default: str | None

    def __init__(self, *options: str, default: str | None = None) -> None:
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "default", default)

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a value."""
        return _with_default({"enum": list(self.options)}, self.default)

    @property
    def samples(self) -> Sequence[str]:
        """All options."""
        return self.options

    def faults(self, value: object, place: Place) -> list[Item]:
        """Return what is wrong with a value."""
        if not isinstance(value, str):
            return [item(place, "wrong_type", "not a text", value)]
        if value not in self.options:
            hint = did_you_mean(value, self.options)
            return [item(place, "unknown_value", f"one of {', '.join(self.options)}{hint}", value)]
        return []


@dataclass(frozen=True, slots=True)
class Secret(Parameter):
    """A text that is used when the request arrives and not stored, such as the password of a document; optional."""

    longest: int = LONGEST_SECRET

    @property
    def default(self) -> None:
        """No secret."""

    @property
    def required(self) -> bool:
        """Whether the caller must send a value."""
        return False

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a value."""
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": self.longest,
            "format": "password",
            "writeOnly": True,
        }

    @property
    def samples(self) -> Sequence[str | None]:
        """No secret, and a short one."""
        return None, "a"

    def faults(self, value: object, place: Place) -> list[Item]:
        """Return what is wrong with a value, without the value."""
        if not isinstance(value, str):
            return [item(place, "wrong_type", "not a text")]
        if not 1 <= len(value) <= self.longest:
            return [item(place, "out_of_range", f"1 to {self.longest} characters")]
        return []


def problem_of(parameter: object) -> str | None:
    """Return what is wrong with the declaration of a parameter."""
    match parameter:
        case Int(least, most):
            said = (
                "" if _is_whole(least) and _is_whole(most) and least <= most else "whole numbers, the lower one first"
            )
        case Number(least, most):
            said = "" if _is_number(least) and _is_number(most) and least <= most else "numbers, the lower one first"
        case Text(longest):
            said = "" if _is_whole(longest) and 1 <= longest <= LONGEST_TEXT else f"a length from 1 to {LONGEST_TEXT:,}"
        case OneOf(options):
            said = "" if options and all(isinstance(one, str) and one for one in options) else "at least one text"
        case Secret(longest):
            said = "" if _is_whole(longest) and 1 <= longest <= LONGEST_SECRET else f"at most {LONGEST_SECRET}"
        case _:
            return "use Int, Number, Text, OneOf or Secret"
    if said:
        return f"{type(parameter).__name__} takes {said}"
    if isinstance(parameter, Secret) or parameter.default is None:
        return None
    faults = parameter.faults(parameter.default, ())
    return f"the default does not fit: {faults[0]['detail']}" if faults else None


def _with_default(schema: dict[str, Any], default: object) -> dict[str, Any]:
    return schema if default is None else {**schema, "default": default}


def _out_of_range(value: float, least: float, most: float, place: Place) -> list[Item]:
    if value < least:
        return [item(place, "out_of_range", f"at least {least}", value)]
    return [item(place, "out_of_range", f"at most {most}", value)] if value > most else []


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)


def _is_finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)
