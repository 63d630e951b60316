"""Pipelines in this process, what their steps make of pictures, and operations that misbehave.

Image processes import this module, so pytest has its folder on the path.
"""

from __future__ import annotations

import ctypes
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mediagate import Moderator, Source
from mediagate.errors import InvalidPipeline
from mediagate.images.operations import Context, Frames, Operation, Operations, Params, Rate, Recipe, parse, standard
from mediagate.images.operations.operation import Json
from mediagate.images.pipeline import run
from mediagate.values import OutputFile, Produced
from tests.support.charts import saved

OPERATIONS = standard()
CHEAP = Rate(1, 1)


def faults(*steps: Any, inputs: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the code of each fault by its pointer."""
    try:
        parse(list(steps), OPERATIONS, inputs=inputs)
    except InvalidPipeline as exc:
        return {error["pointer"]: error["code"] for error in exc.errors}
    return {}


def still(*images: Image.Image) -> Frames:
    """Return frames, each shown for 100 ms if there are several."""
    return Frames(images, (100,) * len(images) if len(images) > 1 else (0,), 0 if len(images) > 1 else 1)


def applied(frames: Image.Image | Frames, op: str, context: Context | None = None, **params: Any) -> Any:
    """Return what one step makes of frames."""
    recipe = parse([{"op": op, **params}], OPERATIONS, inputs=tuple(context.inputs) if context else ())
    given = still(frames) if isinstance(frames, Image.Image) else frames
    return OPERATIONS[op].apply(given, recipe.steps[0].params, context or Context())


def image_of(frames: Image.Image | Frames, op: str, context: Context | None = None, **params: Any) -> Image.Image:
    """Return the first frame of what one step makes of a picture."""
    made = applied(frames, op, context, **params)
    assert isinstance(made, Frames)
    return made.images[0]


def ran(
    data: bytes | Image.Image,
    *steps: Mapping[str, Any],
    source: Source | None = None,
    moderator: Moderator | None = None,
    inputs: Mapping[str, bytes] | None = None,
    operations: Operations = OPERATIONS,
    **limits: Any,
) -> Produced:
    """Run steps on a file, or on a picture as a PNG."""
    recipe: Recipe = parse(list(steps), operations, inputs=tuple(inputs or ()))
    file = data if isinstance(data, bytes) else saved(data, "PNG")
    return run(file, recipe, source or Source(), operations, moderator, inputs=inputs, **limits)


def opened(output: OutputFile) -> Image.Image:
    """Return the first frame of an output; it must be as large as told."""
    image = Image.open(io.BytesIO(output.data))
    image.load()
    assert image.size == (output.width, output.height)
    return image


def array(image: Image.Image) -> NDArray[np.int16]:
    """Return the channels of a picture as numbers that can be subtracted."""
    return np.asarray(image).astype(np.int16)


class Nothing(Params):
    """No parameters."""


def crash(frames: Frames, params: Nothing, context: Context) -> Frames:
    ctypes.string_at(0)
    return frames


def hang(frames: Frames, params: Nothing, context: Context) -> Frames:
    while True:
        time.sleep(0.01)


def hog(frames: Frames, params: Nothing, context: Context) -> Frames:
    bytearray(1 << 40)
    return frames


def grow(frames: Frames, params: Nothing, context: Context) -> Frames:
    """Make a picture that is larger than the operation has declared."""
    return frames.each(lambda image: image.resize((image.width * 10, image.height * 10)))


def chatter(frames: Frames, params: Nothing, context: Context) -> Json:
    return {"endless": ["x"] * 1_000_000}


def nan(frames: Frames, params: Nothing, context: Context) -> Json:
    return {"number": float("nan")}


def opened_file(frames: Frames, params: Nothing, context: Context) -> Json:
    return {"read": Path("/etc/hostname").read_text()}


MISBEHAVING: tuple[Operation[Any], ...] = (
    *(Operation(function.__name__, "filter", Nothing, function, CHEAP) for function in (crash, hang, hog, grow)),
    *(
        Operation(function.__name__, "metadata", Nothing, function, CHEAP, gives="data")
        for function in (chatter, nan, opened_file)
    ),
)


def with_misbehaving() -> Operations:
    """Return all operations, and those that misbehave."""
    return Operations((*OPERATIONS.values(), *MISBEHAVING))
