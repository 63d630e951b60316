"""A small real model: a classifier whose scores are the means of red, green and blue."""

from __future__ import annotations

import io
from pathlib import Path

import onnx
from onnx import TensorProto, helper
from PIL import Image

LABELS = ("red", "green", "blue")
RED, BLUE = (200, 10, 10), (10, 10, 200)
"""Colours that score 0.78 as red, and 0.04."""


def channel_model(path: Path, *, note: str = "") -> Path:
    """Write the model; with another ``note`` its file has another hash and the same scores."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["means"]),
            helper.make_node("Flatten", ["means"], ["flat"]),
            helper.make_node("HardSigmoid", ["flat"], ["y"], alpha=1.0, beta=0.0),
        ],
        "means",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, doc_string=note)
    onnx.save(model, path)
    return path


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (100, 80), *, later: object = None) -> bytes:
    """Return a PNG of one colour; with ``later``, an animation whose last frame has that colour."""
    file = io.BytesIO()
    frames = [Image.new("RGB", size, later)] if isinstance(later, tuple) else []
    first = Image.new("RGB", size, colour)
    first.save(
        file, "PNG", save_all=bool(frames), append_images=frames, duration=500, **({"loop": 0} if frames else {})
    )
    return file.getvalue()
