"""Inspecting a model's input and output once, and rejecting models that cannot moderate images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from mediagate.errors import ConfigError, ModerationFailed
from mediagate_plugins.onnx_moderation.graph import last_operator
from mediagate_plugins.onnx_moderation.labels import labels_of, literal
from mediagate_plugins.onnx_moderation.options import Options
from mediagate_plugins.onnx_moderation.pixels import InputSpec, tensor, trial_pixels
from mediagate_plugins.onnx_moderation.scores import TOLERANCE, OutputSpec, scores_of
from mediagate_plugins.onnx_moderation.session import Session, Tensor

Form = Literal["classifier", "rows", "columns", "end2end"]

_DTYPES: Mapping[str, Literal["float32", "float16", "uint8"]] = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
}
_SIGMOIDS = frozenset({"HardSigmoid", "QLinearSigmoid", "Sigmoid"})
_SOFTMAXES = frozenset({"QLinearSoftmax", "Softmax"})
_LINEAR = frozenset({"Add", "Conv", "Gemm", "MatMul"})
"""The last operators of a classifier without softmax or sigmoid."""


def inspect(session: Session, model: bytes, options: Options) -> tuple[InputSpec, OutputSpec]:
    """Return the input and output specifications of a model, tested on noise.

    Raises ``ConfigError`` when it is not an image model.
    """
    taken = _input(session, options)
    name = _output(session, options)
    labels = labels_of(options.labels, session.metadata)
    try:
        raw = session.run(taken.name, tensor(trial_pixels(taken), taken), name)
    except Exception as exc:  # onnxruntime's errors share no other base
        raise _problem(
            "model", f"it fails on an image of {taken.width}x{taken.height} pixels as {taken.layout}: {exc}"
        ) from None
    if raw.dtype.kind != "f":
        raise _problem("model", f"output {name!r} is {raw.dtype}, but scores must be floating-point numbers")
    form = _form(raw.shape, len(labels), session.metadata, options)
    operator = last_operator(model, name)
    activation = _activation(raw, form, operator, options)
    output = OutputSpec(name, form, activation, labels, _exclusive(form, activation, operator, options))
    try:
        scores = scores_of(raw, output)
    except ModerationFailed as exc:
        raise _problem("model", f"on a test with noise, {exc.detail}") from None
    if options.exclusive and sum(scores.values()) > 1 + TOLERANCE:
        raise _problem(
            "exclusive", f"on a test with noise, the scores sum to {sum(scores.values()):.3g}; omit exclusive"
        )
    return replace(taken, fit=_fit(form, options)), output


def _problem(option: str, text: str) -> ConfigError:
    return ConfigError(f"onnx_moderation.{option}: {text}")


def _input(session: Session, options: Options) -> InputSpec:
    if len(session.inputs) != 1:
        names = ", ".join(argument.name for argument in session.inputs) or "none"
        raise _problem("model", f"an image model has one input, but this one has {len(session.inputs)}: {names}")
    (taken,) = session.inputs
    shape = taken.shape
    if len(shape) != 4:
        raise _problem(
            "model",
            f"input {taken.name!r} has the shape {shape}; an image model takes [batch, 3, height, width] or "
            "[batch, height, width, 3]",
        )
    dtype = _DTYPES.get(taken.type)
    if dtype is None:
        raise _problem("model", f"input {taken.name!r} is a {taken.type}; supported are {', '.join(_DTYPES)}")
    if dtype == "uint8" and (options.scale is not None or any(options.mean) or set(options.std) != {1.0}):
        raise _problem("scale", "the model takes bytes and scales them itself; leave out scale, mean and std")
    if isinstance(shape[0], int) and shape[0] > 1:
        raise _problem("model", f"it takes {shape[0]} images at once; export it with a batch of 1 or a dynamic one")
    layout = _layout(shape, options)
    height, width = shape[2:] if layout == "NCHW" else shape[1:3]
    width, height = _size(width, height, session.metadata, options)
    return InputSpec(
        name=taken.name,
        dtype=dtype,
        layout=layout,
        width=width,
        height=height,
        fit="stretch",
        crop=options.crop,
        pad=options.pad,
        colour=options.colour,
        scale=1 / 255 if options.scale is None else options.scale,
        mean=options.mean,
        std=options.std,
    )


def _fit(form: Form, options: Options) -> Literal["stretch", "centre", "corner"]:
    fit = options.fit
    if fit == "auto":
        fit = "stretch" if form == "classifier" else "centre"
    if fit != "stretch" and options.crop < 1:
        raise _problem("crop", f'it needs fit="stretch", but the picture is fitted whole (fit="{fit}"); omit crop')
    return fit


def _layout(shape: Sequence[int | str | None], options: Options) -> Literal["NCHW", "NHWC"]:
    """Return the position of the three channels: first, as in PyTorch, when the shape leaves it open."""
    can_be = [
        layout
        for layout, axis in (("NCHW", 1), ("NHWC", 3))
        if (shape[axis] == 3 or not isinstance(shape[axis], int)) and options.layout in ("auto", layout)
    ]
    if not can_be:
        raise _problem("model", f"the input's shape {shape} has no axis of three colour channels")
    fixed = [layout for layout in can_be if shape[1 if layout == "NCHW" else 3] == 3]
    return "NCHW" if (fixed or can_be)[0] == "NCHW" else "NHWC"


def _size(
    width: int | str | None, height: int | str | None, metadata: Mapping[str, str], options: Options
) -> tuple[int, int]:
    if isinstance(width, int) and isinstance(height, int):
        if options.size not in (None, (width, height)):
            raise _problem("size", f"the model takes {width}x{height} pixels only; leave size out")
        return width, height
    size = options.size
    match literal(metadata.get("imgsz", "")):
        case [int(high), int(wide)] if size is None:
            size = (wide, high)
    if size is None:
        raise _problem("size", "the model takes any size; give the size of its training, such as size=224")
    for name, fixed, side in (("width", width, size[0]), ("height", height, size[1])):
        if isinstance(fixed, int) and fixed != side:
            raise _problem("size", f"the model's {name} is {fixed} pixels, not {side}")
    return size


def _output(session: Session, options: Options) -> str:
    names = [argument.name for argument in session.outputs]
    if options.output is not None and options.output not in names:
        raise _problem("output", f"the model has no output {options.output!r}; it has {', '.join(names)}")
    if options.output is None and len(names) > 1:
        raise _problem("output", f"the model has several outputs; name the one with the scores: {', '.join(names)}")
    return options.output or names[0]


def _form(shape: tuple[int, ...], labels: int, metadata: Mapping[str, str], options: Options) -> Form:
    if len(shape) >= 2 and shape[0] == 1 and set(shape[2:]) <= {1} and options.kind in ("auto", "classifier"):
        if shape[1] != labels:
            raise _problem("labels", f"the model scores {shape[1]} labels, but {labels} are given")
        return "classifier"
    if len(shape) == 3 and shape[0] == 1 and options.kind != "classifier":
        return _detector_form(shape[1], shape[2], labels, metadata, options)
    raise _problem(
        "model",
        f"its output has the shape {list(shape)}; a classifier outputs [1, labels], a detector "
        f"[1, 4 + labels, boxes], [1, boxes, 4 + labels] or [1, boxes, 6] (kind={options.kind!r})",
    )


def _detector_form(rows: int, columns: int, labels: int, metadata: Mapping[str, str], options: Options) -> Form:
    shape = f"[1, {rows}, {columns}]"
    if columns != 6 and options.kind == "end2end":
        raise _problem("kind", f"an end-to-end detector outputs [1, boxes, 6], but this one {shape}; omit kind")
    if columns == 6 and options.kind == "auto" and literal(metadata.get("end2end", "")) is True:
        return "end2end"
    can_be: tuple[tuple[Form, str, bool], ...] = (
        ("rows", "detector", rows == 4 + labels),
        ("columns", "detector", columns == 4 + labels),
        ("end2end", "end2end", columns == 6),
    )
    forms = [form for form, kind, fits in can_be if fits and options.kind in ("auto", kind)]
    if len(forms) == 1:
        return forms[0]
    if forms:
        raise _problem(
            "kind",
            f'an output of {shape} with {labels} labels is ambiguous; set kind="end2end" '
            '(box, score, label) or kind="detector" (box, score of each label)',
        )
    scored = min((side - 4 for side in (rows, columns) if side > 4), default=0)
    raise _problem(
        "labels",
        f"the model scores {scored} labels per box (its output is [1, {rows}, {columns}]), but {labels} are given",
    )


def _activation(raw: Tensor, form: Form, operator: str, options: Options) -> Literal["softmax", "sigmoid", "none"]:
    """Return the function that maps outputs to probabilities: none for a detector or if the graph ends with one.

    Raises ``ConfigError`` for a second softmax, which would squeeze all scores together and so let pictures pass.
    """
    chosen = options.activation
    if form != "classifier":
        if chosen == "softmax":
            raise _problem("activation", "the labels of a detector are not mutually exclusive; omit activation")
        return "none" if chosen == "auto" else chosen
    ends_so = operator in _SIGMOIDS | _SOFTMAXES
    if ends_so and chosen in ("softmax", "sigmoid"):
        raise _problem("activation", f"the model ends in {operator}, so its outputs are already probabilities")
    if chosen != "auto":
        return chosen
    if ends_so:
        return "none"
    if operator not in _LINEAR and raw.min() >= 0 and raw.max() <= 1:
        raise _problem(
            "activation",
            f"the model ends in {operator or 'no operator'}, and its outputs look like probabilities: "
            'set activation="none" if they are, or "softmax" or "sigmoid" if they need one of these',
        )
    return "sigmoid" if raw.size == 1 else "softmax"


def _exclusive(form: Form, activation: str, operator: str, options: Options) -> bool:
    """Return whether the labels exclude each other; raises ``ConfigError`` if they are said to, and cannot."""
    if options.exclusive and (form != "classifier" or activation == "sigmoid" or operator in _SIGMOIDS):
        raise _problem("exclusive", "the labels of a detector or of a sigmoid do not exclude each other; omit it")
    if options.exclusive is not None:
        return options.exclusive
    return form == "classifier" and (activation == "softmax" or operator in _SOFTMAXES)
