"""Facts about an ONNX file that the runtime does not report: its last operator and its external weights.

Reads the protobuf wire format (https://protobuf.dev/programming-guides/encoding) with the field numbers of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, so that no further package is needed.
"""

from __future__ import annotations

from collections.abc import Iterator

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP_TYPE = 1, 2, 4
_TENSOR_EXTERNAL_DATA = 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

_RESHAPING = frozenset(
    {
        "Cast",
        "DequantizeLinear",
        "Flatten",
        "Identity",
        "QuantizeLinear",
        "Reshape",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators that do not change any number."""


def last_operator(model: bytes, output: str) -> str:
    """Return the type of the operator that computes an output's numbers, such as ``Softmax``; "" if there is none."""
    producers: dict[str, tuple[str, str]] = {}
    for graph in _messages(memoryview(model), _MODEL_GRAPH):
        for node in _messages(graph, _GRAPH_NODE):
            inputs, outputs = _strings(node, _NODE_INPUT), _strings(node, _NODE_OUTPUT)
            operator = "".join(_strings(node, _NODE_OP_TYPE))
            producers |= dict.fromkeys(outputs, (operator, inputs[0] if inputs else ""))
    operator = ""
    # Removed on the way, so that a malformed cycle ends too.
    while found := producers.pop(output, None):
        operator, output = found
        if operator not in _RESHAPING:
            return operator
    return operator


def external_files(model: bytes) -> set[str]:
    """Return the external files that contain the model's weights."""
    return {
        value
        for graph in _messages(memoryview(model), _MODEL_GRAPH)
        for tensor in _messages(graph, _GRAPH_INITIALIZER)
        for entry in _messages(tensor, _TENSOR_EXTERNAL_DATA)
        if _strings(entry, _ENTRY_KEY) == ["location"]
        for value in _strings(entry, _ENTRY_VALUE)
    }


def _strings(message: memoryview, field: int) -> list[str]:
    return [bytes(value).decode() for value in _messages(message, field)]


def _messages(message: memoryview, field: int) -> Iterator[memoryview]:
    """Iterate over the length-delimited values of one field; raises ``ValueError`` if this is not protobuf."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                _, at = _varint(message, at)
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                length, at = _varint(message, at)
                if at + length > len(message):
                    raise ValueError("a value ends beyond its message")
                if tag >> 3 == field:
                    yield message[at : at + length]
                at += length
            case wire_type:
                raise ValueError(f"wire type {wire_type} is not in use")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a variable-length integer and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("an integer does not end")
