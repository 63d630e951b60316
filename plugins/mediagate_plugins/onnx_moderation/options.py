"""The host's description of its model: everything that an ONNX file does not state."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from mediagate.errors import ConfigError
from mediagate_plugins.onnx_moderation.providers import CPU

Kind = Literal["auto", "classifier", "detector", "end2end"]
Layout = Literal["auto", "NCHW", "NHWC"]
Fit = Literal["auto", "stretch", "centre", "corner"]
Colour = Literal["rgb", "bgr"]
Activation = Literal["auto", "softmax", "sigmoid", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of ``onnx_moderation``; raises ``ConfigError`` that names every invalid one."""

    model: Path
    name: str = "onnx_moderation"
    sha256: str | None = None
    """Hash of the expected file, in hexadecimal digits; ``None``: every file is accepted."""
    labels: tuple[str, ...] | None = None
    """In the order of the model's outputs; ``None``: from the file's metadata."""
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    kind: Kind = "auto"
    layout: Layout = "auto"
    size: tuple[int, int] | None = None
    """Width and height in pixels, for a model that takes any size."""
    fit: Fit = "auto"
    crop: float = 1.0
    """Share of each edge that is shown of a stretched picture."""
    pad: int = 114
    """Grey (0-255) around a picture that is fitted whole; Ultralytics models are trained with 114."""
    colour: Colour = "rgb"
    scale: float | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    activation: Activation = "auto"
    exclusive: bool | None = None
    """Whether a picture has one of the labels only; ``None``: those of a softmax."""
    output: str | None = None
    threads: int = 1
    providers: tuple[str, ...] = CPU
    """onnxruntime's execution providers, the preferred one first."""
    reads: tuple[Path, ...] = ()
    """Further files and devices that the image processes may open."""

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ConfigError([f"onnx_moderation.{problem}" for problem in problems])

    def _problems(self) -> Iterator[str]:
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            yield f"sha256: give 64 hexadecimal digits in lower case, not {self.sha256!r}"
        for name, among in (("kind", Kind), ("layout", Layout), ("fit", Fit), ("colour", Colour)):
            yield from _choice(name, getattr(self, name), among)
        yield from _choice("activation", self.activation, Activation)
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) != 3 or not all(map(math.isfinite, values)):
                yield f"{name}: give three numbers, one per channel, not {values}"
        if 0 in self.std:
            yield "std: give values other than 0"
        if self.scale is not None and not (math.isfinite(self.scale) and self.scale > 0):
            yield f"scale: give a number above 0, not {self.scale}"
        if self.size is not None and (len(self.size) != 2 or not all(1 <= side <= 4096 for side in self.size)):
            yield f"size: give a side, or width and height, within 1-4096 pixels, not {self.size}"
        if not 0.5 <= self.crop <= 1:
            yield f"crop: give a share within 0.5-1, such as 224/256, not {self.crop}"
        if not 0 <= self.pad <= 255:
            yield f"pad: give a grey within 0-255, not {self.pad}"
        if not 1 <= self.threads <= 64:
            yield f"threads: give 1-64, not {self.threads}"
        if not self.providers or len(set(self.providers)) < len(self.providers):
            yield f'providers: give each one once, such as ("CUDAExecutionProvider",), not {self.providers}'


def _choice(name: str, value: str, among: object) -> Iterator[str]:
    choices = get_args(among)
    if value not in choices:
        yield f"{name}: give one of {', '.join(choices)}, not {value!r}"
