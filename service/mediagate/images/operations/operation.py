"""What an operation declares: its parameters, its function, what it needs and what it costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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

    def cost(self, count: int, frames: int = 1) -> Cost:
        """Return the cost of this many pixels of all frames together."""
        return Cost(round(count * self.ns / 1e6, 1), round(count * self.bytes))


class PageRate(NamedTuple):
    """A cost of frames that are worked on one after another, each reduced to ``most_pixels`` if it has more.

    ``bytes`` count for each pixel of one frame as it is, beside ``least_bytes``.
    """

    frame_ms: float
    ns: float
    most_pixels: int
    least_bytes: int
    bytes: float

    def cost(self, count: int, frames: int = 1) -> Cost:
        """Return the cost of this many pixels of all frames together."""
        each = count / frames
        ms = frames * (self.frame_ms + min(each, self.most_pixels) * self.ns / 1e6)
        return Cost(round(ms, 1), round(self.least_bytes + each * self.bytes))


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


class Engine(NamedTuple):
    """One of several libraries that can do the work of an operation."""

    name: str
    needs: Extra
    languages: Callable[[], Sequence[str]]
    """The codes of the languages that it can read here."""

    @property
    def available(self) -> bool:
        """Whether it is installed and reads a language."""
        return self.needs.available and bool(self.languages())


@cache
def _installed(module: str) -> bool:
    return find_spec(module) is not None


PIPELINES = Extra("pipelines", "numpy")
PNG = Extra("png", "oxipng")
PDF = Extra("pdf", "pypdfium2")
ENHANCE = Extra("enhance", "cv2")
RAPIDOCR = Extra("ocr", "rapidocr")
TESSERACT = Extra("tesseract", "tesserocr")


@dataclass(frozen=True, slots=True)
class File:
    """One encoded file, and the frames that it shows."""

    format: str
    data: bytes
    shown: Frames


@dataclass(frozen=True, slots=True)
class Page:
    """The page of a document that a picture shows."""

    number: int
    """From 1."""
    dpi: float
    """Pixels per inch of the picture, before any step has changed it."""
    max_pixels: int
    """The limit of its source."""
    text: Callable[[int], tuple[str, bool]]
    """Returns the text layer up to a number of characters, and whether it is longer."""


@dataclass(slots=True)
class Context:
    """What a step may know besides its frames."""

    file: bytes = b""
    """The uploaded file."""
    format: str = "png"
    """The format of the uploaded file."""
    inputs: Mapping[str, Frames] = field(default_factory=dict)
    """Further pictures by name, judged like the uploaded one."""
    page: Page | None = None
    """The page that is rendered, if the file is a document."""
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


def _nothing(_: Any) -> Iterator[tuple[str, str]]:
    return iter(())


def _nothing_to_load(_: Any) -> None: ...


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
    cost: Rate | PageRate | Callable[[P, int], Cost]
    """Per pixel of all frames together, of the larger of the picture before and after the step; or the cost of a step
    on so many pixels."""
    gives: Literal["picture", "data", "file"] = "picture"
    takes: Literal["picture", "document", "page"] = "picture"
    """``document``: it is the first step and opens documents; ``page``: it needs a page of one."""
    needs: Extra | None = None
    """What must be installed to use it at all."""
    options_need: Mapping[str, Extra] = field(default_factory=dict)
    """What must be installed to use a parameter."""
    engines: tuple[Engine, ...] = ()
    """The libraries of which one must be available."""
    lacks: Callable[[P], Iterator[tuple[str, str]]] = _nothing
    """Yields each parameter that asks for something that is not installed, with the command that installs it."""
    load: Callable[[P], None] = _nothing_to_load
    """Loads libraries and models into an image process, before the first step and outside of the memory of a picture.
    Called for each request, so it must remember what it has loaded."""
    grows: bool = False
    """Whether its library keeps memory, so that processes are replaced after some hundred frames."""
    inputs: tuple[str, ...] = ()
    """The parameters that name a further input."""
    reads: tuple[Path, ...] = ()
    """Files that it opens in an image process, such as fonts."""
    resized: Callable[[P, Size], Size] = _same
    """The largest size that the picture may have after the step, from its size before; checked before the step runs."""

    @property
    def available(self) -> bool:
        """Whether what it needs in any case is installed."""
        needed = self.needs is None or self.needs.available
        return needed and (not self.engines or any(engine.available for engine in self.engines))

    def cost_of(self, params: P, pixels: int, frames: int = 1) -> Cost:
        """Return the cost of a step on this many pixels of all frames together."""
        return self.cost.cost(pixels, frames) if isinstance(self.cost, Rate | PageRate) else self.cost(params, pixels)
