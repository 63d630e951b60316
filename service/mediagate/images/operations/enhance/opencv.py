"""What operations ask of OpenCV; its only importer, when a step needs it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PIL import Image

from mediagate.images.operations.operation import Params

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]


@cache
def load() -> Any:
    """Return OpenCV, which runs in one thread here: parallelism comes from the image processes."""
    import cv2

    cv2.setNumThreads(1)
    cv2.ocl.setUseOpenCL(False)
    return cv2


def ready(_: Params) -> None:
    """Load OpenCV, for the steps that need it."""
    load()


def bilateral(image: Image.Image, diameter: int, levels: float, distance: float) -> Image.Image:
    """Return an ``RGB`` picture smoothed where it is even (Tomasi and Manduchi 1998).

    ``levels`` is the standard deviation of the sum of the differences of all channels, ``distance`` that in pixels.
    """
    import numpy as np

    return Image.fromarray(load().bilateralFilter(np.asarray(image), diameter, levels, distance))


def equalised(channel: Image.Image, clip: float, tiles: int) -> Image.Image:
    """Return an ``L`` channel equalised in ``tiles`` x ``tiles`` parts (CLAHE, Zuiderveld 1994).

    No level of a part counts more than ``clip`` times the mean, which limits how much contrast grows.
    """
    import numpy as np

    return Image.fromarray(load().createCLAHE(clip, (tiles, tiles)).apply(np.asarray(channel)))


def means(values: Floats, radius: int) -> Floats:
    """Return the mean of the square around each value, ``radius`` values on each side."""
    return cast("Floats", load().blur(values, (2 * radius + 1, 2 * radius + 1)))


@cache
def network(path: Path) -> Any:
    """Return a network of a ``.tflite`` or an ``.onnx`` file."""
    dnn = load().dnn
    if path.suffix == ".tflite":
        return dnn.readNetFromTFLite(str(path))
    # The newer engine has no Winograd convolutions and takes half as long again.
    return dnn.readNetFromONNX(str(path), dnn.ENGINE_CLASSIC)


def answer(path: Path, values: Floats) -> Floats:
    """Return what a network makes of an array of batch, channels, height and width."""
    net = network(path)
    net.setInput(values)
    return cast("Floats", net.forward())
