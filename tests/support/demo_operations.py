"""Operations of a plugin, for the demo page: image processes import this module."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from PIL import Image
from pydantic import Field

from mediagate import OPERATIONS, MediaGate, plugin
from mediagate.errors import OperationFailed
from mediagate.operations import Context, Extra, Frames, Operation, Params, Rate

CHEAP = Rate(1, 1)
DOZE_S = 4.0
"""Long enough to press a button while the step runs."""


class Tint(Params):
    """Mix the picture with a colour; a parameter of each type."""

    colour: str = Field("#2457c5ff", description='"#rrggbb"', json_schema_extra={"format": "color"})
    share: Annotated[float, Field(ge=0, le=1)] = Field(0.5, description="of the colour")
    mode: Literal["plain", "grey"] = Field("plain", description="what is mixed")
    note: str | None = Field(None, max_length=50, description="any text")
    sizes: tuple[int, ...] = Field((), description="numbers")
    fails: bool = Field(False, description="whether the step fails")


class Nothing(Params):
    """No parameters."""


def tint(frames: Frames, params: Tint, context: Context) -> Frames:
    if params.fails:
        raise OperationFailed("it was asked to fail")
    if params.note:
        context.warn("noted", f"the note is {params.note}")
    colour = Image.new("RGB", frames.size, params.colour[:7])
    return frames.each(lambda image: Image.blend(image.convert("RGB"), colour, params.share))


def doze(frames: Frames, params: Nothing, context: Context) -> Frames:
    time.sleep(DOZE_S)
    return frames


ADDED: tuple[Operation[Any], ...] = (
    Operation("tint", "filter", Tint, tint, CHEAP),
    Operation("doze", "filter", Nothing, doze, CHEAP),
    Operation("absent", "filter", Nothing, doze, CHEAP, needs=Extra("absent", "no_such_module_anywhere", "mine")),
)


@plugin("demo_operations", requires=("pipelines",))
async def demo_operations(gate: MediaGate) -> None:
    """Add the operations to those of the gate."""
    for operation in ADDED:
        gate[OPERATIONS].add(operation)
