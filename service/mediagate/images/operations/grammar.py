"""From the steps of a request to a recipe, or to all of their faults at once."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from mediagate.errors import InvalidPipeline
from mediagate.images.operations.operation import Extra, Operation, Params
from mediagate.images.operations.problems import Item, Place, did_you_mean, item, names, of_model
from mediagate.images.operations.recipe import ORIGINAL, OUTPUT, SAVE, Recipe, Step
from mediagate.images.operations.registry import Operations
from mediagate.images.operations.unavailable import UNAVAILABLE

MOST_STEPS = 20
MOST_OUTPUTS = 50
MOST_BYTES = 1024 * 1024
"""Bytes of the canonical steps as JSON, which are stored with the job: a full table of colours has 0.8 MB."""
MOST_FIELDS = 64
"""Fields of one step; suggesting names for very many unknown ones would take minutes."""
ON_ERROR = ("fail", "skip")
OPERATION_UNAVAILABLE = "operation_unavailable"
COMMON = ("op", "from", "onError")
"""Fields that every step may have besides those of its operation."""


def parse(steps: object, operations: Operations, *, inputs: Collection[str] = (), root: Place = ("steps",)) -> Recipe:
    """Return the recipe that the steps of a request describe; ``steps`` is JSON as Python reads it.

    ``inputs`` are the names of further pictures, ``root`` the place of the steps in the request, for pointers. Raises
    ``InvalidPipeline`` with every fault.
    """
    if not isinstance(steps, list):
        raise InvalidPipeline([item(root, "wrong_type", "not a list of steps", steps)])
    if not steps:
        raise InvalidPipeline([item(root, "missing", "there is no step; write at least one")])
    if len(steps) > MOST_STEPS:
        raise InvalidPipeline([item(root, "too_long", f"{len(steps)} steps; up to {MOST_STEPS} are accepted")])
    reading = _Reading(operations, inputs, root)
    for number, step in enumerate(steps):
        reading.read((*root, number), step)
    reading.check_uses()
    if reading.faults:
        raise InvalidPipeline(reading.faults)
    recipe = Recipe((*reading.steps, *reading.last()))
    if len(recipe.steps) > MOST_STEPS:
        detail = f"{len(steps)} steps and the save that is added; up to {MOST_STEPS} are accepted"
        raise InvalidPipeline([item(root, "too_long", detail)])
    length = len(json.dumps(recipe.to_json()))
    if length > MOST_BYTES:
        raise InvalidPipeline([item(root, "too_long", f"{length:,} bytes; up to {MOST_BYTES:,} are accepted")])
    return recipe


@dataclass(slots=True)
class _Reading:
    """Reads one step after another and collects faults."""

    operations: Operations
    inputs: Collection[str]
    root: Place
    faults: list[Item] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    """The names of all outputs so far, also of those with other faults."""
    starts: list[bool] = field(default_factory=list)
    """For each written step whether it starts from a named picture."""
    opens: bool = False
    """Whether a step so far opens documents."""
    gives: list[str] = field(default_factory=list)
    """For each written step what it gives, empty for an unknown operation."""

    def read(self, place: Place, step: object) -> None:
        """Read one step."""
        if not isinstance(step, dict):
            self._missed(item(place, "wrong_type", 'not an object; write {"op": …}', step))
            return
        if len(step) > MOST_FIELDS:
            self._missed(item(place, "too_long", f"{len(step)} fields; up to {MOST_FIELDS} are read"))
            return
        name = step.get("op")
        operation = self.operations.get(name) if isinstance(name, str) else None
        start = step.get("from")
        self.starts.append("from" in step)
        self.gives.append("" if operation is None else operation.gives)
        before = len(self.faults)
        self._check_start(place, step)
        self._check_place(place, operation)
        if "onError" in step and step["onError"] not in ON_ERROR:
            self.faults.append(item((*place, "onError"), "unknown_value", "one of fail, skip", step["onError"]))
        if operation is None:
            self.faults.append(self._unknown(place, step))
            return
        params = self._params(place, step, operation)
        if len(self.faults) == before and params is not None:
            self.steps.append(Step(operation.name, params, start, step.get("onError", "fail")))

    def check_uses(self) -> None:
        """Find steps whose picture no later step uses."""
        if not self.results:  # the last picture is saved
            return
        for number, gives in enumerate(self.gives):
            ends = number + 1 == len(self.gives)
            opening = number == 0 and self.opens
            if gives == "picture" and not opening and (ends or self.starts[number + 1]):
                self.faults.append(
                    item((*self.root, number), "unused_step", "no step uses this picture; save it, or remove the step")
                )

    def last(self) -> Iterator[Step]:
        """Yield a ``save`` of the last picture if no step saves one and not all of them give data alone.

        A step that opens documents makes pictures for the sake of others.
        """
        made = self.gives[1:] if self.opens and len(self.gives) > 1 else self.gives
        if not self.results and SAVE in self.operations and any(gives == "picture" for gives in made):
            yield Step(SAVE, self.operations[SAVE].params.model_validate({"as": OUTPUT}))

    def _missed(self, fault: Item) -> None:
        self.faults.append(fault)
        self.starts.append(False)
        self.gives.append("")

    def _unknown(self, place: Place, step: dict[str, Any]) -> Item:
        if "op" not in step:
            return item((*place, "op"), "missing", "this field is required")
        name = step["op"]
        if not isinstance(name, str):
            return item((*place, "op"), "wrong_type", "not the name of an operation", name)
        if name in UNAVAILABLE:
            return item((*place, "op"), OPERATION_UNAVAILABLE, UNAVAILABLE[name], name)
        hint = did_you_mean(name, self.operations)
        return item((*place, "op"), "unknown_operation", f"there is no operation {name[:100]!r}{hint}", name)

    def _check_start(self, place: Place, step: dict[str, Any]) -> None:
        if "from" not in step:
            return
        start = step["from"]
        if not isinstance(start, str):
            self.faults.append(item((*place, "from"), "wrong_type", "not a name", start))
        elif start != ORIGINAL and start not in self.results:
            hint = did_you_mean(start, [ORIGINAL, *self.results])
            self.faults.append(
                item((*place, "from"), "unknown_result", f"no earlier step saves {start[:100]!r}{hint}", start)
            )

    def _check_place(self, place: Place, operation: Operation[Any] | None) -> None:
        """Check that documents are opened by the first step, and before a step that needs a page."""
        if operation is None:
            return
        if operation.takes == "document" and len(self.gives) > 1:
            self.faults.append(
                item(place, "misplaced_step", f"{operation.name} opens the file; make it the first step")
            )
        self.opens |= operation.takes == "document"
        if operation.takes == "page" and not self.opens:
            self.faults.append(item(place, "misplaced_step", "no step renders a document; begin with render"))

    def _params(self, place: Place, step: dict[str, Any], operation: Operation[Any]) -> Params | None:
        written = {name: value for name, value in step.items() if name not in COMMON}
        self._note_result(place, written, operation)
        self._check_needs(place, written, operation)
        try:
            # In JSON mode a list is a tuple, while numbers stay strict.
            params: Params = operation.params.model_validate_json(_text(written))
        except ValidationError as exc:
            self.faults += _with_common(of_model(exc, operation.params, place, written), operation)
            return None
        for name in operation.inputs:
            wanted = getattr(params, name)
            if wanted is not None and wanted not in self.inputs:
                hint = did_you_mean(wanted, self.inputs)
                self.faults.append(item((*place, name), "unknown_input", f"there is no input {wanted!r}{hint}", wanted))
        if operation.available:
            self.faults += [item((*place, name), OPERATION_UNAVAILABLE, how) for name, how in operation.lacks(params)]
        return params

    def _note_result(self, place: Place, written: dict[str, Any], operation: Operation[Any]) -> None:
        name = written.get("as", OUTPUT)
        if operation.name != SAVE or not isinstance(name, str):
            return
        if name in self.results:
            self.faults.append(item((*place, "as"), "duplicate_result", f"another step saves {name[:100]!r}", name))
        elif name == ORIGINAL:
            self.faults.append(item((*place, "as"), "duplicate_result", "this is the name of the input", name))
        self.results.append(name)
        if len(self.results) == MOST_OUTPUTS + 1:
            self.faults.append(item(place, "too_long", f"more than {MOST_OUTPUTS} outputs"))

    def _check_needs(self, place: Place, written: dict[str, Any], operation: Operation[Any]) -> None:
        wanted: list[tuple[Place, Extra]] = [] if operation.needs is None else [(place, operation.needs)]
        wanted += [((*place, name), extra) for name, extra in operation.options_need.items() if written.get(name)]
        for where, extra in wanted:
            if not extra.available:
                self.faults.append(item(where, OPERATION_UNAVAILABLE, extra.pip))
        if operation.engines and not any(engine.available for engine in operation.engines):
            self.faults.append(item(place, OPERATION_UNAVAILABLE, operation.engines[0].needs.pip))


def _with_common(faults: Iterator[Item], operation: Operation[Any]) -> Iterator[Item]:
    """Add suggestions of the fields that every step may have."""
    known = set(names(operation.params))
    for fault in faults:
        if fault["code"] == "unknown_field" and "did you mean" not in fault["detail"]:
            name = re.sub("~1", "/", fault["pointer"].rpartition("/")[2])
            fault["detail"] += did_you_mean(name, [*known, *COMMON])
        yield fault


def _text(written: dict[str, Any]) -> str:
    try:
        return json.dumps(written)
    except (TypeError, ValueError, RecursionError):
        return "\0"  # an object of Python, too deep, or too long an integer: pydantic refuses it as invalid JSON
