"""What an operation gave, checked: it may be a plugin's, and the host refuses every answer that breaks these rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mediagate.errors import OperationFailed
from mediagate.images.json_shapes import Malformed
from mediagate.images.operations import File, Frames, Operation
from mediagate.images.pipeline_wire import DATA, MOST_DATA_BYTES

MODES = ("RGB", "RGBA")


def check_result(operation: Operation[Any], before: Frames, result: object) -> None:
    """Raise ``OperationFailed`` unless an operation gave what it declares: frames like those before, data or a file."""
    wanted = {"picture": Frames, "data": Mapping, "file": File}[operation.gives]
    if not isinstance(result, wanted):
        raise OperationFailed(
            f"{operation.name} declares that it gives {operation.gives}, and gave {type(result).__name__}"
        )
    shown = result.shown if isinstance(result, File) else result
    if isinstance(shown, Frames):
        _check_frames(operation, before, shown)


def _check_frames(operation: Operation[Any], before: Frames, frames: Frames) -> None:
    images = frames.images
    if not 1 <= len(images) <= len(before.images):
        raise OperationFailed(f"{operation.name} made {len(images)} frames of {len(before.images)}")
    if len(frames.durations_ms) != len(images):
        raise OperationFailed(f"{operation.name} made {len(images)} frames and {len(frames.durations_ms)} durations")
    if len({(image.mode, image.size) for image in images}) > 1 or images[0].mode not in MODES:
        raise OperationFailed(f"{operation.name} made frames that are not all RGB, or all RGBA, and of one size")
    if not all(images[0].size):
        raise OperationFailed(f"{operation.name} made a picture without pixels")


def sent_data(data: Mapping[str, Any], sent_bytes: int) -> tuple[Mapping[str, Any], int]:
    """Return data of a step as the host will accept it, and its bytes; ``sent_bytes`` are those of earlier steps.

    Raises ``OperationFailed``.
    """
    try:
        written = json.dumps(data, allow_nan=False)
        made: Mapping[str, Any] = DATA(json.loads(written))
    except (Malformed, TypeError, ValueError, RecursionError) as exc:
        raise OperationFailed(f"the step gave data that cannot be sent: {exc}") from exc
    if sent_bytes + len(written) > MOST_DATA_BYTES:
        raise OperationFailed(f"the data of all steps has more than {MOST_DATA_BYTES:,} bytes; leave steps out")
    return made, len(written)
