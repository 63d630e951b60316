"""The job of a pipeline: what was asked for, its inputs, and what it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mediagate.values.produced import StepWarning

MOST_INPUTS = 10
"""Files of one pipeline."""
MOST_OUTPUT_BYTES = 256 * 1024 * 1024
"""Bytes of all outputs of a pipeline together: they are held in memory until every input has been judged."""


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """The checked request of a pipeline, as it is stored."""

    steps: tuple[Mapping[str, Any], ...]
    """The canonical steps, as ``Recipe.to_json`` writes them."""
    recipe_hash: str
    ttl: timedelta
    """How long the outputs are kept after the end of the job."""
    preset: str | None = None
    version: str | None = None
    """The hash of the preset, if these are its steps."""
    clamped: bool = False
    """Whether a longer retention was asked for than the source allows."""
    dialect: str | None = None
    """The dialect of the API that the request was written in; ``None``: the native one."""
    endpoint: str | None = None
    """The path below the dialect's that the request was sent to."""

    @property
    def ops(self) -> tuple[str, ...]:
        """The operations of the steps, in order."""
        return tuple(str(step["op"]) for step in self.steps)


@dataclass(frozen=True, slots=True)
class PipelineInput:
    """One file of a pipeline, under its own quarantine key."""

    name: str
    filename: str
    key: str
    format: str
    bytes: int
    sha256: str
    width: int
    height: int
    refers: bool = False
    """Whether a step refers to it, as a watermark does; the steps then do not run on it."""
    pages: int | None = None
    """Pages of a document; ``None`` for a picture."""


@dataclass(frozen=True, slots=True)
class Output:
    """One file that a pipeline made; private, and deleted when its retention ends."""

    position: int
    """From 0: its place among the outputs of the job."""
    name: str
    """The name of the step's ``save``, the same for each input."""
    input: str
    """The name of the input that it was made of."""
    filename: str
    """A name for downloads; no two outputs of a job have the same."""
    key: str
    format: str
    width: int
    height: int
    frames: int
    """Frames of an animation or pages of a PDF; 1 for a still."""
    bytes: int
    page: int | None = None
    """The page of the input that it shows, from 1; ``None`` for one of a picture, or of all pages."""


@dataclass(frozen=True, slots=True)
class InputWarning:
    """What a caller should know about one step on one input."""

    input: str
    step: int
    code: str
    detail: str
    page: int | None = None
    """The page of the input, from 1; ``None`` for a picture."""

    @classmethod
    def of(cls, name: str, page: int | None, warning: StepWarning) -> InputWarning:
        """Return a step's warning about the input with this name, or about one of its pages."""
        return cls(name, warning.step, warning.code, warning.detail, page)

    def to_json(self) -> dict[str, Any]:
        """Return the object in ``warnings`` of a status."""
        told = {"input": self.input, "step": self.step, "code": self.code, "detail": self.detail}
        return told if self.page is None else {**told, "page": self.page}


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What a pipeline gave besides files."""

    data: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """By operation: ``input``, ``page`` of a document, ``step`` and ``value`` of each step that gave data."""
    warnings: tuple[InputWarning, ...] = ()
