"""Faults of a pipeline as items of a problem: a JSON Pointer, a stable code, a text, and the value that is wrong."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

Item = dict[str, Any]
Place = tuple[str | int, ...]

CODES: Mapping[str, str] = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "literal_error": "unknown_value",
    "enum": "unknown_value",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "finite_number": "out_of_range",
    "int_parsing_size": "out_of_range",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "string_too_short": "too_short",
    "too_short": "too_short",
    "value_error": "invalid_value",
    "string_pattern_mismatch": "invalid_value",
    "json_invalid": "invalid_value",
    "string_unicode": "invalid_value",
}
"""The code of a fault by pydantic's type of error; every other type is ``wrong_type``."""
LONGEST_GOT = 100


def item(place: Place, code: str, detail: str, *got: Any) -> Item:
    """Return a fault; ``got`` is the value at its place, if there is one."""
    fault = {"pointer": pointer(place), "code": code, "detail": detail}
    return {**fault, "got": _brief(got[0])} if got else fault


def pointer(place: Iterable[str | int]) -> str:
    """Return a JSON Pointer (RFC 6901); halves of surrogates, which no response can have, are question marks."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in place)
    return "".join(f"/{part}" for part in parts).encode("utf-8", "replace").decode()


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a suggestion to append to a text, empty if nothing known resembles the name."""
    close = difflib.get_close_matches(name[:LONGEST_GOT], list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def of_model(exc: ValidationError, model: type[BaseModel], place: Place, document: Any) -> Iterator[Item]:
    """Yield the faults that a model found in the document at a place; values of excluded fields are secrets."""
    hidden = {field.alias or name for name, field in model.model_fields.items() if field.exclude}
    for error in exc.errors(include_url=False):
        location = _within(error["loc"], document)
        code, detail = CODES.get(error["type"], "wrong_type"), error["msg"]
        if code == "missing":
            yield item((*place, *location), code, "this field is required")
            continue
        if code == "unknown_field":
            name = str(location[-1])
            yield item(
                (*place, *location), code, f"unknown field {name[:LONGEST_GOT]!r}" + did_you_mean(name, names(model))
            )
            continue
        if location and location[0] in hidden:
            yield item((*place, *location), code, detail[:1].lower() + detail[1:])
            continue
        got = _value(document, location)
        if code == "unknown_value" and isinstance(got, str):
            known = [option for option in _literals(error.get("ctx", {})) if isinstance(option, str)]
            detail = f"one of {', '.join(known)}" + did_you_mean(got, known)
        elif code == "out_of_range":
            detail = _bound(error.get("ctx", {})) or detail
        elif error["type"] == "json_invalid":
            detail = "has what JSON cannot say: half a surrogate, a number of too many digits, too many levels"
        elif code == "invalid_value":
            detail = detail.removeprefix("Value error, ")
        yield item((*place, *location), code, detail[:1].lower() + detail[1:], got)


def _bound(context: Mapping[str, Any]) -> str:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return next((f"{word} {context[name]}" for name, word in words.items() if name in context), "")


def names(model: type[BaseModel]) -> list[str]:
    """Return the names of a model's fields in JSON."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _within(location: tuple[str | int, ...], document: Any) -> Place:
    """Return the parts of pydantic's location that lead through the document: others name members of unions."""
    kept: list[str | int] = []
    for number, part in enumerate(location):
        if _has(document, part):
            document = document[part]
        elif number < len(location) - 1 or not isinstance(document, Mapping):
            continue
        kept.append(part)
    return tuple(kept)


def _has(document: Any, part: str | int) -> bool:
    if isinstance(document, list):
        return isinstance(part, int) and part < len(document)
    return isinstance(document, Mapping) and part in document


def _value(document: Any, location: Place) -> Any:
    for part in location:
        document = document[part]
    return document


def _literals(context: Mapping[str, Any]) -> list[Any]:
    # Pydantic tells the options as a text: 'a', 'b' or 'c'.
    return [word.strip(" '") for word in str(context.get("expected", "")).replace(" or ", ", ").split(",")]


def _brief(value: Any) -> Any:
    """Return a value to show to the caller: short, and valid JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()[:LONGEST_GOT]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        shown = json.dumps(value) if isinstance(value, float) or abs(value) < 2**63 else "a huge integer"
        return value if isinstance(value, int) and shown.lstrip("-").isdigit() else _finite(value)
    return "an object" if isinstance(value, Mapping) else "a list"


def _finite(value: float) -> Any:
    return value if isinstance(value, float) and abs(value) < float("inf") else str(value)[:LONGEST_GOT]
