"""Steps of variants: operations of pipelines on resized pictures, before these are judged and encoded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256

from mediagate.config import Source, VariantSpec
from mediagate.errors import ConfigError, InvalidPipeline, MediagateError
from mediagate.images import pixels
from mediagate.images.operations import Context, Frames, Operations, Step, parse, standard
from mediagate.images.step_limits import check_pixels
from mediagate.images.step_results import check_result

FAMILIES = ("transform", "filter")
"""Others read metadata, or save further files."""


def check_steps(sources: Mapping[str, Source], operations: Operations | None = None) -> None:
    """Raise ``ConfigError`` with every fault in the steps of all variants.

    ``operations`` are by default those that mediagate brings.
    """
    known = standard() if operations is None else operations
    problems = [
        f"sources[{source_type!r}].variants[{name!r}].{fault}"
        for source_type, source in sources.items()
        for name, spec in source.variants.items()
        for fault in _faults(spec, known)
    ]
    if problems:
        raise ConfigError(problems)


def look_of(name: str, spec: VariantSpec, operations: Operations | None = None) -> str | None:
    """Return the ``look`` of a variant's files: equal for variants of equal filters, its own after a transformation.

    A crop of so many pixels, for example, shows another part of a larger picture.
    """
    if not spec.steps:
        return None
    look = sha256(spec.steps_text.encode()).hexdigest()[:16]
    known = standard() if operations is None else operations
    return look if all(known[step.op].family == "filter" for step in _steps(spec, known)) else f"{look}:{name}"


def stepped(
    frames: Frames, spec: VariantSpec, source: Source, operations: Operations | None, warnings: list[str]
) -> Frames:
    """Return the resized frames of a variant after its steps, whose warnings are added to ``warnings``.

    Raises ``OperationFailed`` for a step that does not fit the picture, and ``ImageTooLarge``; both name the step.
    """
    known = standard() if operations is None else operations
    for number, step in enumerate(_steps(spec, known)):
        operation, context = known[step.op], Context()
        try:
            check_pixels(operation.resized(step.params, frames.size), len(frames.images), source)
            with pixels.final(f"step {number}"):
                result = operation.apply(frames, step.params, context)
            check_result(operation, frames, result)
            assert isinstance(result, Frames)  # as all operations of these families
            check_pixels(result.size, len(result.images), source)
        except MediagateError as exc:
            if step.on_error == "skip":
                warnings.append(f"the step {step.op} was skipped: {exc.client_detail}")
                continue
            exc.step, exc.op = number, step.op
            raise
        frames = result
        warnings += [detail for _, detail in context.warnings]
    return frames.each(pixels.without_invisible)


def _steps(spec: VariantSpec, operations: Operations) -> tuple[Step, ...]:
    """Return the steps as written; ``parse`` appends one that saves."""
    return parse(json.loads(spec.steps_text), operations).steps[: len(spec.steps)] if spec.steps else ()


def _faults(spec: VariantSpec, operations: Operations) -> Iterator[str]:
    try:
        steps = _steps(spec, operations)
    except InvalidPipeline as exc:
        for fault in exc.errors:
            yield f"{_python(fault['pointer'])}: {fault['detail']}"
        return
    for number, step in enumerate(steps):
        if operations[step.op].family not in FAMILIES:
            yield f"steps[{number}].op: {step.op} is not a {' or '.join(FAMILIES)}; use a pipeline for it"
        if step.start is not None:
            yield f"steps[{number}].from: the steps of a variant start from its resized picture; leave it out"


def _python(pointer: str) -> str:
    """Return a JSON Pointer as written in Python: ``steps[0].op``."""
    first, *parts = pointer.removeprefix("/").split("/")
    return first + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)
