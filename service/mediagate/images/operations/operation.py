"""What an operation declares: its parameters, its function, what it needs and what it costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from mediagate.images import pixels
from mediagate.images.operations.frames import Frames
from mediagate.values import LONGEST_WARNING, MOST_WARNINGS, WARNING_CODE

Family = Literal["transform", "filter", "optimize", "metadata", "watermark", "ocr", "document", "enhance"]
"""A group of operations, for lists and rights."""
Json = Mapping[str, Any]
"""An object of JSON values."""
Size = tuple[int, int]
P = TypeVar("P", bound="Params")


class Params(BaseModel):
    """Base of the parameters of operations: immutable, strict, without unknown fields, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Cost(NamedTuple):
    """An estimate of a step's CPU time and of the memory that it takes in addition to its frames."""

    cpu_ms: float
    bytes: int


class Rate(NamedTuple):
    """A cost per pixel: nanoseconds of CPU time on an idle core of 2024, and bytes."""

    ns: float
    bytes: float

    def cost(self, count: int) -> Cost:
        """Return the cost of this many pixels."""
        return Cost(round(count * self.ns / 1e6, 1), round(count * self.bytes))


class Extra(NamedTuple):
    """An optional dependency: the extra of a distribution, and the module that it brings."""

    name: str
    module: str
    distribution: str = "mediagate"

    @property
    def available(self) -> bool:
        """Whether the module is installed."""
        return _installed(self.module)

    @property
    def pip(self) -> str:
        """The command that installs it."""
        return f'pip install "{self.distribution}[{self.name}]"'


@cache
def _installed(module: str) -> bool:
    return find_spec(module) is not None


PIPELINES = Extra("pipelines", "numpy")
PNG = Extra("png", "oxipng")


@dataclass(frozen=True, slots=True)
class File:
    """One encoded file, and the frames that it shows."""

    format: str
    data: bytes
    shown: Frames


@dataclass(slots=True)
class Context:
    """What a step may know besides its frames."""

    file: bytes = b""
    """The uploaded file."""
    format: str = "png"
    """The format of the uploaded file."""
    inputs: Mapping[str, Frames] = field(default_factory=dict)
    """Further pictures by name, judged like the uploaded one."""
    time: pixels.EncodingTime = field(default_factory=pixels.EncodingTime)
    """The time that encoding may still take."""
    judge: Callable[[Frames], None] = lambda _: None
    """Judges frames; raises if they may not be published. A ``save`` calls it before it encodes them."""
    warnings: list[tuple[str, str]] = field(default_factory=list)
    """Codes and texts for the caller."""

    def warn(self, code: str, detail: str) -> None:
        """Tell the caller about a step that did something else than it may expect, up to 20 times.

        ``code`` has letters a-z and ``_``; of ``detail``, 2,000 characters are kept. Raises ``ValueError``.
        """
        if not re.fullmatch(WARNING_CODE, code):
            raise ValueError(f"a code of letters a-z and _, not {code!r:.80}")
        if len(self.warnings) < MOST_WARNINGS:
            self.warnings.append((code, detail[:LONGEST_WARNING]))


def _same(_: Any, size: Size) -> Size:
    return size


@dataclass(frozen=True, slots=True)
class Operation(Generic[P]):
    """One operation: a function from frames to frames, to data or to a file, with what has to be known about it.

    It is pickled by reference, so ``params`` and all functions must be defined at the top level of modules. ``apply``
    may raise ``OperationFailed`` for parameters that do not fit the picture; it must not change the frames it gets.
    """

    name: str
    family: Family
    params: type[P]
    apply: Callable[[Frames, P, Context], Frames | Json | File]
    cost: Rate | Callable[[P], Rate]
    """Per pixel of all frames together, of the larger of the picture before and after the step."""
    gives: Literal["picture", "data", "file"] = "picture"
    takes: Literal["picture"] = "picture"
    needs: Extra | None = None
    """What must be installed to use it at all."""
    options_need: Mapping[str, Extra] = field(default_factory=dict)
    """What must be installed to use a parameter."""
    inputs: tuple[str, ...] = ()
    """The parameters that name a further input."""
    reads: tuple[Path, ...] = ()
    """Files that it opens in an image process, such as fonts."""
    resized: Callable[[P, Size], Size] = _same
    """The largest size that the picture may have after the step, from its size before; checked before the step runs."""

    def cost_of(self, params: P, pixels: int) -> Cost:
        """Return the cost of a step on this many pixels."""
        rate = self.cost if isinstance(self.cost, Rate) else self.cost(params)
        return rate.cost(pixels)
