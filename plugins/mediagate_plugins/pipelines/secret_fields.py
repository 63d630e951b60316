"""Secrets in presets: a caller sends them, and nothing stores them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mediagate.operations import Operations
from mediagate_plugins.pipelines.parameters import Parameter, Secret

PARAM = "$param"
"""``{"$param": "width"}`` in a step stands for the value of a parameter."""


def secret_problems(steps: Sequence[Any], params: Mapping[str, Parameter], operations: Operations) -> Iterator[str]:
    """Yield the secret fields of steps that are not a ``Secret``, and the other fields that are one.

    The steps of a preset and their hash are public, and so are the other fields of a job's steps.
    """
    for number, step in enumerate(steps):
        hidden = _hidden_fields(step, operations)
        for name, value in step.items() if isinstance(step, Mapping) else ():
            used = {param for param in _params_in(value) if isinstance(params.get(param), Secret)}
            if name in hidden and value is not None and not (used and _params_in(value) == [*used]):
                yield f'/{number}/{name}: write {{"$param": …}} with a parameter of the type Secret'
            if name not in hidden and used:
                yield f"/{number}/{name}: {min(used)!r} is a Secret, and this field is stored"


def _hidden_fields(step: Any, operations: Operations) -> set[str]:
    op = step.get("op") if isinstance(step, Mapping) else None
    operation = operations.get(op) if isinstance(op, str) else None
    fields = {} if operation is None else operation.params.model_fields
    return {field.alias or name for name, field in fields.items() if field.exclude}


def _params_in(value: Any) -> list[str]:
    """Return the names of all parameters in a value."""
    if isinstance(value, Mapping):
        if value.keys() == {PARAM}:
            return [str(value[PARAM])]
        value = list(value.values())
    return [name for part in value for name in _params_in(part)] if isinstance(value, list) else []
