"""Presets: named steps of the operator, with typed parameters for their callers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from mediagate.errors import ConfigError, InvalidPipeline
from mediagate.operations import Item, Operations, Place, Recipe, did_you_mean, item, parse
from mediagate_plugins.pipelines.parameters import Parameter, problem_of
from mediagate_plugins.pipelines.secret_fields import PARAM, secret_problems

PARAMS: Place = ("params",)
PICTURE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""The name of a further picture."""


@dataclass(frozen=True, slots=True)
class Preset:
    """Steps as in a request, in which ``{"$param": "width"}`` stands for the value of the parameter ``width``.

    ``params`` are the types of these values, ``pictures`` the names of further pictures that a request must bring, such
    as that of a watermark. With ``ad_hoc``, a request of a caller who may send steps of its own may
    name the preset together with other steps.
    """

    steps: Sequence[Mapping[str, Any]]
    params: Mapping[str, Parameter] = field(default_factory=dict)
    ad_hoc: bool = False
    pictures: Sequence[str] = ()

    @property
    def version(self) -> str:
        """The SHA-256 of the steps in hex, before parameters get their values."""
        canonical = json.dumps(_plain(self.steps), sort_keys=True, separators=(",", ":"))
        return sha256(canonical.encode()).hexdigest()

    @property
    def plain_steps(self) -> list[Any]:
        """The steps as JSON; raises ``TypeError`` or ``ValueError`` if they are something else."""
        steps: list[Any] = _plain(self.steps)
        return steps

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of ``params`` in a request."""
        required = [name for name, parameter in self.params.items() if parameter.required]
        return {
            "type": "object",
            "properties": {name: parameter.schema for name, parameter in self.params.items()},
            "required": required,
            "additionalProperties": False,
        }

    def faults(self, values: Mapping[str, Any]) -> Iterator[Item]:
        """Yield what is wrong with the values of a request."""
        for name in values:
            if name not in self.params:
                hint = did_you_mean(name, self.params)
                yield item((*PARAMS, name), "unknown_field", f"this preset has no parameter {name[:100]!r}{hint}")
        for name, parameter in self.params.items():
            if name in values:
                yield from parameter.faults(values[name], (*PARAMS, name))
            elif parameter.required:
                yield item((*PARAMS, name), "missing", "this preset needs the parameter")

    def recipe(self, values: Mapping[str, Any], operations: Operations) -> Recipe:
        """Return the steps with the values of a request; raises ``InvalidPipeline`` with every fault.

        Values that are valid one by one may not fit together: such faults point to ``/params`` and name the step.
        """
        if faults := list(self.faults(values)):
            raise InvalidPipeline(faults)
        try:
            return self._parsed(values, operations)
        except InvalidPipeline as exc:
            raise InvalidPipeline([_of_values(error) for error in exc.errors]) from None

    def _parsed(self, values: Mapping[str, Any], operations: Operations) -> Recipe:
        defaults = {name: parameter.default for name, parameter in self.params.items()}
        return parse(_filled(self.steps, {**defaults, **values}), operations, inputs=self.pictures)

    def problems(self, operations: Operations) -> list[str]:
        """Return what is wrong with the preset, checked with values at the limits of every parameter."""
        found = [
            f"params {name!r}: {problem}"
            for name, parameter in self.params.items()
            if (problem := problem_of(parameter)) is not None
        ]
        try:
            used = set(_used(_plain(self.steps)))
        except (TypeError, ValueError) as exc:
            return [*found, f"steps: use what JSON can say ({exc})"]
        found += [f"steps use the parameter {name!r}, which params does not declare" for name in used - {*self.params}]
        found += [f"params {name!r}: no step uses it" for name in self.params if name not in used]
        found += [
            f"pictures {name!r}: use a-z, 0-9, - and _, at most 64"
            for name in self.pictures
            if not (isinstance(name, str) and PICTURE.fullmatch(name))
        ]
        return (
            found or [*secret_problems(_plain(self.steps), self.params, operations)] or self._step_problems(operations)
        )

    def _step_problems(self, operations: Operations) -> list[str]:
        found: dict[str, None] = {}
        for values in self._trials():
            try:
                self._parsed(values, operations)
            except InvalidPipeline as exc:
                shown = f" (with params {json.dumps(values)[:200]})" if values else ""
                found |= {f"{error['pointer']}: {error['detail']}{shown}": None for error in exc.errors}
        return list(found)[:10]

    def _trials(self) -> Iterator[dict[str, Any]]:
        """Yield values for all parameters: each of them at each of its limits, the others at their first."""
        first = {name: parameter.samples[0] for name, parameter in self.params.items()}
        yield first
        for name, parameter in self.params.items():
            for sample in parameter.samples[1:]:
                yield {**first, name: sample}


def check_presets(presets: Mapping[str, Preset], operations: Operations) -> None:
    """Raise ``ConfigError`` with every problem of every preset."""
    found = [
        f"pipelines: preset {name!r}: {problem}"
        for name, preset in presets.items()
        for problem in problems_of(name, preset, operations)
    ]
    if found:
        raise ConfigError(found)


def problems_of(name: str, preset: object, operations: Operations) -> list[str]:
    """Return what is wrong with a preset and its name; those of steps begin with a JSON Pointer."""
    if not (name and len(name) <= 64 and name.replace("-", "").replace("_", "").isalnum() and name.isascii()):
        return ["name it with letters, digits, - and _, at most 64"]
    return preset.problems(operations) if isinstance(preset, Preset) else ["write Preset(steps=[…])"]


def _of_values(error: Mapping[str, Any]) -> Item:
    return item(PARAMS, error["code"], f"in the preset's {error['pointer']}: {error['detail']}")


def _plain(value: Any) -> Any:
    """Return steps as the lists and objects of JSON; raises ``TypeError`` or ``ValueError`` for anything else."""
    return json.loads(json.dumps(list(value), allow_nan=False, default=_as_dict))


def _as_dict(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _used(value: Any) -> Iterator[str]:
    """Yield the names of all parameters that a value contains."""
    if isinstance(value, list):
        for part in value:
            yield from _used(part)
    elif isinstance(value, dict):
        if value.keys() == {PARAM}:
            yield str(value[PARAM])
            return
        for part in value.values():
            yield from _used(part)


def _filled(steps: Any, values: Mapping[str, Any]) -> Any:
    """Return a copy of steps with the values of their parameters. A value is not searched for parameters itself."""

    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(part) for part in value]
        if isinstance(value, dict):
            return values[value[PARAM]] if value.keys() == {PARAM} else {key: fill(part) for key, part in value.items()}
        return value

    return fill(_plain(steps))
