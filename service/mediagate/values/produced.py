"""The result of a pipeline in an image process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mediagate.values.image import ImageInfo, Verdict

WARNING_CODE = "[a-z_]{1,64}"
"""The pattern of the code of a warning."""
LONGEST_WARNING = 2000
"""Characters of the text of a warning."""
MOST_WARNINGS = 20
"""Warnings of one step."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One file that a pipeline saved; ``frames`` counts the pages of a PDF too."""

    name: str
    format: str
    """``webp``, ``avif``, ``jpeg``, ``png``, ``gif`` or ``pdf``."""
    width: int
    height: int
    frames: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StepEnd:
    """The end of one step; ``step`` is its index, from 0."""

    step: int
    op: str
    status: Literal["done", "skipped"]
    ms: float


@dataclass(frozen=True, slots=True)
class StepWarning:
    """What a caller should know about one step: why it was skipped, or what it did otherwise than expected."""

    step: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class StepData:
    """The JSON object that one step gave."""

    step: int
    op: str
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Produced:
    """The result of a pipeline. Unless the verdict is ``allow`` there are no outputs and no data."""

    verdict: Verdict
    """The strictest of the input and of all outputs."""
    info: ImageInfo
    """The header of the input."""
    outputs: tuple[OutputFile, ...] = ()
    data: tuple[StepData, ...] = ()
    steps: tuple[StepEnd, ...] = ()
    warnings: tuple[StepWarning, ...] = ()
    notes: tuple[str, ...] = ()
    """What was noticed while the input was decoded."""
    removed: tuple[str, ...] = ()
    """Kinds of metadata in the input that no output has."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    model_runs: int = 0
    previews: tuple[bytes, ...] = ()
    """JPEGs of all judged views, if requested."""

    def without_files(self) -> Produced:
        """Return the result without outputs and data, as for a rejected picture."""
        return replace(self, outputs=(), data=())
