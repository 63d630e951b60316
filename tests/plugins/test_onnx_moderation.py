"""Real ONNX models, small enough to compute by hand: their scores, and the advice in each refusal."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from mediagate.errors import ConfigError, ModerationFailed
from mediagate.images.pixels.picture import PixelPicture
from mediagate.moderation import input_edge, with_group_scores
from mediagate_plugins.onnx_moderation import load
from mediagate_plugins.onnx_moderation.moderator import OnnxModerator
from mediagate_plugins.onnx_moderation.options import Options

RGB = ("red", "green", "blue")
NAMES = {0: "red", 1: "green", 2: "blue"}
ORANGE = (255, 102, 0)
"""1.0, 0.4 and 0.0 of the three channels."""


def plain(colour: tuple[int, int, int], width: int = 40, height: int = 30) -> PixelPicture:
    return PixelPicture(Image.new("RGB", (width, height), colour))


Shape = Sequence[int | str | None]


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, Any],
    *,
    shape: Shape = (1, 3, 8, 8),
    dtype: int = TensorProto.FLOAT,
    outputs: Sequence[str] = ("y",),
    out_dtype: int = TensorProto.FLOAT,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    graph = helper.make_graph(
        list(nodes),
        "model",
        [helper.make_tensor_value_info("x", dtype, list(shape))],
        [helper.make_tensor_value_info(name, out_dtype, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save(model, path)
    return path


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


@pytest.fixture
def classifier(tmp_path: Path) -> Callable[..., Path]:
    """Make a model whose raw outputs are ``4 x mean of each channel - 1``; ``end`` appends an operator."""

    def make(*, end: str | None = None, axes: Sequence[int] = (2, 3), weights: Any = None, **options: Any) -> Path:
        weights = np.eye(3, dtype=np.float32) * 4 if weights is None else weights
        floats = TensorProto.FLOAT16 if weights.dtype == np.float16 else TensorProto.FLOAT
        bias = np.full(weights.shape[1], -1, weights.dtype)
        nodes = [
            node("Cast", "x", "floats", to=floats),
            node("ReduceMean", "floats", "means", axes=list(axes), keepdims=0),
            node("Gemm", "means weights bias", "logits"),
            node(end or "Identity", "logits", "scores"),
            node("Identity", "scores", "y"),
        ]
        return save(
            tmp_path / "model.onnx", nodes, {"weights": weights, "bias": bias}, **{"out_dtype": floats, **options}
        )

    return make


@pytest.fixture
def detector(tmp_path: Path) -> Callable[..., Path]:
    """Make a detector with four boxes, the quarters of the picture, scored by their mean of each channel."""

    def make(*, columns: bool = False, names: object = NAMES, **metadata: str) -> Path:
        nodes = [
            node("AveragePool", "x", "quarters", kernel_shape=[16, 16], strides=[16, 16]),
            node("Reshape", "quarters shape", "scores"),
            node("Concat", "boxes scores", "rows", axis=1),
            node("Transpose", "rows", "y", perm=[0, 2, 1]) if columns else node("Identity", "rows", "y"),
        ]
        constants = {"shape": np.array([1, 3, 4]), "boxes": np.full((1, 4, 4), 16, np.float32)}
        return save(
            tmp_path / "detector.onnx",
            nodes,
            constants,
            shape=(1, 3, "height", "width"),
            metadata={"names": repr(names), "imgsz": "[32, 32]", "task": "detect", **metadata},
        )

    return make


@pytest.fixture
def end2end(tmp_path: Path) -> Path:
    """Make a detector with suppression built in: two boxes of red, one uncertain box of blue, and padding."""
    rows = [[0, 0, 8, 8, 0.4, 0], [0, 0, 8, 8, 0.9, 0], [0, 0, 8, 8, 0.3, 2], [0, 0, 0, 0, 0, -1]]
    nodes = [
        node("ReduceMean", "x", "mean", axes=[0, 1, 2, 3], keepdims=0),
        node("Mul", "mean zero", "nothing"),
        node("Add", "found nothing", "y"),
    ]
    constants = {"zero": np.float32(0), "found": np.array([rows], np.float32)}
    return save(tmp_path / "end2end.onnx", nodes, constants, metadata={"names": json.dumps(RGB)})


def judged(path: Path, picture: PixelPicture | None = None, **options: Any) -> dict[str, float]:
    moderator = load(Options(model=path, **options))
    moderator.prepare()
    return dict(moderator.judge(picture or plain(ORANGE)).scores)


def softmax(*logits: float) -> list[float]:
    powers = [math.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


def sigmoid(*logits: float) -> list[float]:
    return [1 / (1 + math.exp(-logit)) for logit in logits]


def scores(values: Sequence[float], *, abs: float = 1e-6) -> Any:
    return pytest.approx(dict(zip(RGB, values, strict=True)), abs=abs)


# -- classifiers


def test_classifier_logits_become_softmax_probabilities(classifier: Callable[..., Path]) -> None:
    assert judged(classifier(), labels=RGB) == scores(softmax(3, 0.6, -1))


def test_sigmoid_activation_scores_a_multi_label_classifier(classifier: Callable[..., Path]) -> None:
    assert judged(classifier(), labels=RGB, activation="sigmoid") == scores(sigmoid(3, 0.6, -1))


@pytest.mark.parametrize(
    ("end", "expected"),
    [("Softmax", softmax(3, 0.6, -1)), ("Sigmoid", sigmoid(3, 0.6, -1))],
    ids=["softmax", "sigmoid"],
)
def test_classifier_ending_in_probabilities_gets_no_activation(
    classifier: Callable[..., Path], end: str, expected: list[float]
) -> None:
    assert judged(classifier(end=end), labels=RGB) == scores(expected)
    assert judged(classifier(end=end), labels=RGB, activation="none") == scores(expected)
    with pytest.raises(ConfigError, match=f"ends in {end}, so its outputs are already probabilities"):
        judged(classifier(end=end), labels=RGB, activation="softmax")


def test_classifier_with_ambiguous_outputs_needs_an_activation(classifier: Callable[..., Path]) -> None:
    path = classifier(end="Relu", weights=np.eye(3, dtype=np.float32) * 3)
    with pytest.raises(ConfigError, match="ends in Relu, and its outputs look like probabilities: set"):
        judged(path, labels=RGB)
    assert judged(path, plain((153, 102, 0)), labels=RGB, activation="none") == scores((0.8, 0.2, 0))


def test_logits_are_never_taken_for_probabilities(classifier: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="not 0 to 1; if they are logits, set activation="):
        judged(classifier(weights=np.eye(3, dtype=np.float32) * 8), labels=RGB, activation="none")
    moderator = load(Options(model=classifier(weights=np.eye(3, dtype=np.float32) * 3), labels=RGB, activation="none"))
    with pytest.raises(ModerationFailed, match=r"-1 to 2"):
        moderator.judge(plain(ORANGE))


def test_classifier_with_one_output_has_one_label(classifier: Callable[..., Path]) -> None:
    weights = np.array([[4], [0], [0]], np.float32)
    assert judged(classifier(weights=weights), labels=("red",)) == pytest.approx({"red": sigmoid(3)[0]})


def test_input_applies_mean_std_scale_and_colour_order(classifier: Callable[..., Path]) -> None:
    options: dict[str, Any] = {"labels": RGB, "mean": (0.5, 0.25, 0.0), "std": (0.5, 0.5, 2.0)}
    red, green, blue = (1 - 0.5) / 0.5, (0.4 - 0.25) / 0.5, 0.0
    assert judged(classifier(), **options) == scores(softmax(red * 4 - 1, green * 4 - 1, blue - 1))
    red, green, blue = (0 - 0.5) / 0.5, (0.4 - 0.25) / 0.5, 1 / 2
    assert judged(classifier(), **options, colour="bgr") == scores(softmax(red * 4 - 1, green * 4 - 1, blue * 4 - 1))
    assert judged(classifier(), labels=RGB, scale=1 / 510) == scores(softmax(1, -0.2, -1))


def test_input_with_channels_last_is_supported(classifier: Callable[..., Path]) -> None:
    path = classifier(shape=(1, 8, 6, 3), axes=(1, 2))
    assert judged(path, labels=RGB) == scores(softmax(3, 0.6, -1))
    assert load(Options(model=path, labels=RGB)).input.width == 6


@pytest.mark.parametrize(("shape", "axes"), [((1, 8, 8, 3), (1, 2)), ((1, 3, 8, 8), (2, 3))], ids=str)
def test_input_of_bytes_is_not_scaled(classifier: Callable[..., Path], shape: Shape, axes: Sequence[int]) -> None:
    weights = np.eye(3, dtype=np.float32) / 64
    path = classifier(shape=shape, axes=axes, dtype=TensorProto.UINT8, weights=weights)
    assert judged(path, labels=RGB) == scores(softmax(*(value / 64 - 1 for value in ORANGE)))
    with pytest.raises(ConfigError, match=r"scale: the model takes bytes"):
        judged(path, labels=RGB, mean=(0.5, 0.5, 0.5))


def test_input_of_half_precision_is_supported(classifier: Callable[..., Path]) -> None:
    path = classifier(dtype=TensorProto.FLOAT16, weights=np.eye(3, dtype=np.float16) * 4)
    assert judged(path, labels=RGB) == scores(softmax(3, 0.6, -1), abs=2e-3)


def test_input_photo_is_stretched_to_the_models_size(classifier: Callable[..., Path], data: Path) -> None:
    photo = Image.open(data / "moderation" / "chelsea.png").convert("RGB")
    resized = np.asarray(photo.resize((8, 8), Image.Resampling.BILINEAR), np.float64) / 255
    expected = softmax(*(4 * channel - 1 for channel in resized.mean(axis=(0, 1))))
    assert judged(classifier(), PixelPicture(photo), labels=RGB) == scores(expected, abs=1e-5)


def test_input_of_dynamic_size_needs_the_option_size(classifier: Callable[..., Path]) -> None:
    for shape in (("n", 3, "h", "w"), ("n", "c", "h", "w"), (None, None, None, None)):
        path = classifier(shape=shape)
        with pytest.raises(ConfigError, match=r"size: the model takes any size; .* size=224"):
            judged(path, labels=RGB)
        moderator = load(Options(model=path, labels=RGB, size=(10, 12)))
        assert (moderator.input.width, moderator.input.height, moderator.input.layout) == (10, 12, "NCHW")
        assert input_edge(moderator) == 12
        assert moderator.judge(plain(ORANGE)).scores == scores(softmax(3, 0.6, -1))
    path = classifier(shape=("n", "h", "w", "c"), axes=(1, 2))
    assert judged(path, labels=RGB, size=(10, 12), layout="NHWC") == scores(softmax(3, 0.6, -1))
    with pytest.raises(ConfigError, match="10x12 pixels as NCHW"):
        judged(path, labels=RGB, size=(10, 12))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("names", "{0: 'red', 1: 'green', 2: 'blue'}"),
        ("id2label", '{"2": "blue", "0": "red", "1": "green"}'),
        ("labels", '["red", "green", "blue"]'),
        ("classes", "['red', 'green', 'blue']"),
    ],
)
def test_labels_are_read_from_the_files_metadata(classifier: Callable[..., Path], key: str, value: str) -> None:
    path = classifier(metadata={key: value})
    assert judged(path) == scores(softmax(3, 0.6, -1))
    assert list(judged(path, labels=("a", "b", "c"))) == ["a", "b", "c"]


# -- detectors


def test_detector_scores_each_label_with_its_highest_box(detector: Callable[..., Path]) -> None:
    image = Image.new("RGB", (64, 64), (51, 0, 0))
    image.paste((0, 255, 0), (32, 32, 64, 64))
    for columns in (False, True):
        found = judged(detector(columns=columns), PixelPicture(image))
        # The reduction to 32 pixels blurs the seams between the quarters.
        assert found == scores((0.2, 1.0, 0.0), abs=0.02)
        assert found["blue"] == 0


def test_detector_keeps_proportions_and_pads(detector: Callable[..., Path]) -> None:
    both = scores(((1 + 114 / 255) / 2, 57 / 255, 57 / 255), abs=1e-5)
    wide = plain((255, 0, 0), 64, 32)
    assert judged(detector(), wide) == both
    assert judged(detector(), plain((255, 0, 0), 8, 16)) == both
    assert judged(detector(), wide, fit="corner", pad=0) == scores((1, 0, 0))
    assert judged(detector(), wide, fit="corner") == scores((1, 114 / 255, 114 / 255), abs=1e-5)
    assert judged(detector(), wide, fit="stretch") == scores((1, 0, 0))


def test_detector_judges_a_picture_one_pixel_high(detector: Callable[..., Path]) -> None:
    assert judged(detector(), plain((255, 0, 0), 4000, 1), fit="corner", pad=0) == scores((1 / 16, 0, 0))


def test_end2end_detector_scores_its_boxes(end2end: Path) -> None:
    assert judged(end2end) == scores((0.9, 0, 0.3))
    with pytest.raises(ConfigError, match="label index outside of 0-1"):
        judged(end2end, labels=("a", "b"), kind="end2end")


def test_end2end_detector_needs_six_columns(detector: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"outputs \[1, boxes, 6\], but this one \[1, 7, 4\]"):
        judged(detector(), kind="end2end")


def test_detector_with_an_ambiguous_output_needs_a_kind(end2end: Path) -> None:
    with pytest.raises(ConfigError, match='ambiguous; set kind="end2end"'):
        judged(end2end, labels=("a", "b"))
    assert judged(end2end, labels=("a", "b", "c"), kind="end2end") == pytest.approx({"a": 0.9, "b": 0, "c": 0.3})
    # Read as boxes with a score per label, the index 2 in the last column is not a probability.
    with pytest.raises(ConfigError, match="not 0 to 1"):
        judged(end2end, labels=("a", "b"), kind="detector")


def test_detector_of_logits_needs_an_activation(tmp_path: Path) -> None:
    nodes = [
        node("AveragePool", "x", "quarters", kernel_shape=[4, 4], strides=[4, 4]),
        node("Reshape", "quarters shape", "scores"),
        node("Add", "scores minus", "logits"),
        node("Concat", "boxes logits", "y", axis=1),
    ]
    constants = {
        "shape": np.array([1, 3, 4]),
        "boxes": np.full((1, 4, 4), 16, np.float32),
        "minus": np.float32(-3),
    }
    path = save(tmp_path / "m.onnx", nodes, constants)
    with pytest.raises(ConfigError, match="not 0 to 1"):
        judged(path, labels=RGB)
    assert judged(path, labels=RGB, activation="sigmoid", fit="stretch") == scores(sigmoid(-2, -2.6, -3))
    with pytest.raises(ConfigError, match="are not mutually exclusive"):
        judged(path, labels=RGB, activation="softmax")


# -- refused models and options


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read .*No such file"),
        (b"", "onnxruntime cannot load"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is not an ONNX file|cannot load"),
        (b"\x89PNG\r\n\x1a\n" * 200, "is not an ONNX file|cannot load"),
    ],
)
def test_model_file_that_is_not_onnx_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as raised:
        judged(path, labels=RGB)
    assert str(path) in raised.value.detail


def test_model_file_that_is_truncated_is_refused(classifier: Callable[..., Path]) -> None:
    path = classifier()
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ConfigError, match=r"not an ONNX file|cannot load"):
        judged(path, labels=RGB)


def test_model_with_external_weights_is_refused(classifier: Callable[..., Path]) -> None:
    path = classifier()
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ConfigError, match=r"are in weights\.bin; save it as one file"):
        judged(path, labels=RGB)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 8, 8), "no axis of three colour channels"),
        ((4, 3, 8, 8), "takes 4 images at once"),
        ((1, 3, 8, 8, 8), "an image model takes"),
        ((1, 128), "an image model takes"),
    ],
    ids=str,
)
def test_model_that_takes_no_image_is_refused(tmp_path: Path, shape: Shape, message: str) -> None:
    path = save(tmp_path / "m.onnx", [node("Flatten", "x", "y")], {}, shape=shape)
    with pytest.raises(ConfigError, match=message):
        judged(path, labels=RGB)


def test_model_with_unsupported_inputs_or_outputs_is_refused(tmp_path: Path, classifier: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"is a tensor\(int64\)"):
        judged(classifier(dtype=TensorProto.INT64), labels=RGB)
    path = save(tmp_path / "m.onnx", [node("Identity", "x", "y")], {})
    with pytest.raises(ConfigError, match=r"its output has the shape \[1, 3, 8, 8\]"):
        judged(path, labels=RGB)
    nodes = [node("GlobalAveragePool", "x", "pooled"), node("Flatten", "pooled", "y"), node("Neg", "y", "z")]
    path = save(tmp_path / "m.onnx", nodes, {}, outputs=("z", "y"))
    with pytest.raises(ConfigError, match=r"output: the model has several outputs; .*: z, y"):
        judged(path, labels=RGB)
    with pytest.raises(ConfigError, match="the model has no output 'w'; it has z, y"):
        judged(path, labels=RGB, output="w")
    assert judged(path, labels=RGB, output="y", activation="none") == scores((1, 0.4, 0))
    nodes = [node("GlobalAveragePool", "x", "p"), node("Flatten", "p", "f"), node("Cast", "f", "y", to=2)]
    path = save(tmp_path / "m.onnx", nodes, {}, out_dtype=TensorProto.UINT8)
    with pytest.raises(ConfigError, match="is uint8, but scores must be floating-point"):
        judged(path, labels=RGB)


def test_model_with_two_inputs_is_refused(tmp_path: Path) -> None:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("image", "mask")]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node("Add", "image mask", "y")], "model", inputs, [output])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match="this one has 2: image, mask"):
        judged(tmp_path / "m.onnx", labels=RGB)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the model file has no labels"),
        ({"labels": ("a", "b")}, "the model scores 3 labels, but 2 are given"),
        ({"labels": ("a", "b", "a")}, "duplicates: a"),
        ({"labels": ("a", "b", " ")}, "give non-empty texts"),
        ({"labels": RGB, "groups": {"warm": frozenset({"rde"})}}, "'warm' names rde; the labels are red, green, blue"),
        ({"labels": RGB, "groups": {"warm": frozenset()}}, "'warm' is empty"),
        ({"labels": RGB, "groups": {"red": frozenset({"red"})}}, "'red' is also a label"),
        ({"labels": RGB, "size": (9, 9)}, "takes 8x8 pixels only"),
        ({"labels": RGB, "kind": "detector"}, "kind='detector'"),
        ({"labels": RGB, "layout": "NHWC"}, "no axis of three"),
        ({"labels": RGB, "mean": (0.5,)}, "mean: give three numbers"),
        ({"labels": RGB, "std": (1, 0, 1)}, "std: give values other than 0"),
        ({"labels": RGB, "scale": -1.0}, "scale: give a number above 0"),
        ({"labels": RGB, "size": (0, 9)}, "within 1-4096"),
        ({"labels": RGB, "pad": 256}, "pad: give a grey"),
        ({"labels": RGB, "threads": 0}, "threads: give 1-64"),
        ({"labels": RGB, "fit": "crop"}, "fit: give one of auto, stretch, centre, corner"),
    ],
    ids=str,
)
def test_options_that_do_not_fit_the_model_are_refused(
    classifier: Callable[..., Path], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        load(Options(model=classifier(), **options))
    assert raised.value.detail.startswith("onnx_moderation.")


def test_options_report_all_problems_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        Options(model=Path("m.onnx"), pad=-1, threads=0, mean=(1.0,))
    assert len(raised.value.problems) == 3


def test_detector_with_a_wrong_number_of_labels_is_refused(detector: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"scores 3 labels per box \(its output is \[1, 7, 4\]\), but 5 are given"):
        judged(detector(names=list("abcde")))
    with pytest.raises(ConfigError, match="has 3 labels, but none for output 2"):
        judged(detector(names={0: "a", 1: "b", 7: "c"}))


def test_onnx_moderation_without_the_extra_names_it(classifier: Callable[..., Path]) -> None:
    program = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from pathlib import Path\n"
        "from mediagate_plugins.onnx_moderation import Options, load\n"
        f"load(Options(model=Path({str(classifier())!r})))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 'pip install "mediagate[onnx]"' in ended.stderr


# -- in the image processes


def test_verdict_names_its_model_and_hash(classifier: Callable[..., Path]) -> None:
    path = classifier()
    verdict = load(Options(model=path, labels=RGB)).judge(plain(ORANGE))
    assert (verdict.decision, verdict.flags, verdict.model) == ("allow", (), "model.onnx")
    assert verdict.model_hash == hashlib.sha256(path.read_bytes()).hexdigest()


def test_moderator_is_pickled_without_its_session(classifier: Callable[..., Path], tmp_path: Path) -> None:
    moderator = load(Options(model=classifier(), labels=RGB, groups={"warm": frozenset({"red", "green"})}))
    fresh = pickle.dumps(moderator)
    moderator.prepare()
    assert pickle.dumps(moderator) == fresh
    (tmp_path / "pickled").write_bytes(fresh)
    program = (
        "import pickle, sys; from pathlib import Path\n"
        "class Picture:\n"
        "    width, height = 8, 8\n"
        "    def resized(self, width, height): return self\n"
        f"    def rgb(self): return bytes({ORANGE}) * 64\n"
        f"moderator = pickle.loads(Path({str(tmp_path / 'pickled')!r}).read_bytes())\n"
        "moderator.prepare()\n"
        "print(dict(moderator.judge(Picture()).scores), sorted(moderator.groups['warm']))\n"
        "assert not {'starlette', 'prisma', 'mediagate.gate', 'PIL'} & sys.modules.keys()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ended.stdout.strip() == f"{dict(moderator.judge(plain(ORANGE)).scores)} ['green', 'red']"


def test_model_file_that_changed_after_the_start_is_not_used(classifier: Callable[..., Path]) -> None:
    path = classifier()
    moderator: OnnxModerator = load(Options(model=path, labels=RGB))
    classifier(weights=np.eye(3, dtype=np.float32))
    with pytest.raises(ModerationFailed, match="has changed since the gate started"):
        moderator.prepare()
    path.unlink()
    with pytest.raises(ModerationFailed, match="restore the file"):
        moderator.judge(plain(ORANGE))


def test_model_output_that_is_not_finite_fails(tmp_path: Path) -> None:
    nodes = [
        node("ReduceMean", "x", "channels", axes=[2, 3], keepdims=0),
        node("ReduceSum", "channels axes", "sum", keepdims=1),
        node("Div", "channels sum", "y"),
    ]
    path = save(tmp_path / "m.onnx", nodes, {"axes": np.array([1])})
    moderator = load(Options(model=path, labels=RGB, activation="none"))
    assert moderator.judge(plain((200, 200, 100))).scores == scores((0.4, 0.4, 0.2))
    with pytest.raises(ModerationFailed, match="not finite"):
        moderator.judge(plain((0, 0, 0)))


def groups_of(path: Path, picture: PixelPicture, **options: Any) -> Mapping[str, float]:
    moderator = load(Options(model=path, labels=RGB, groups={"warm": frozenset({"red", "green"})}, **options))
    return with_group_scores(moderator.judge(picture), moderator).group_scores


def test_groups_of_a_softmax_are_summed(classifier: Callable[..., Path]) -> None:
    red, green, _ = softmax(3, 0.6, -1)
    for end in (None, "Softmax"):
        path = classifier(end=end)
        assert groups_of(path, plain(ORANGE))["warm"] == pytest.approx(red + green, abs=1e-4)
        assert groups_of(path, plain(ORANGE), exclusive=False)["warm"] == pytest.approx(red, abs=1e-4)


def test_groups_of_other_models_take_the_highest(
    classifier: Callable[..., Path], detector: Callable[..., Path]
) -> None:
    red, *_ = sigmoid(3, 0.6, -1)
    assert groups_of(classifier(end="Sigmoid"), plain(ORANGE))["warm"] == pytest.approx(red, abs=1e-4)
    assert groups_of(classifier(), plain(ORANGE), activation="sigmoid")["warm"] == pytest.approx(red, abs=1e-4)
    assert groups_of(detector(), plain(ORANGE, 32, 32))["warm"] == pytest.approx(1, abs=1e-4)


def test_labels_that_cannot_exclude_each_other_are_refused(
    classifier: Callable[..., Path], detector: Callable[..., Path]
) -> None:
    refused = "exclusive: the labels of a detector or of a sigmoid"
    with pytest.raises(ConfigError, match=refused):
        load(Options(model=detector(), labels=RGB, exclusive=True))
    with pytest.raises(ConfigError, match=refused):
        load(Options(model=classifier(), labels=RGB, exclusive=True, activation="sigmoid"))
    with pytest.raises(ConfigError, match=refused):
        load(Options(model=classifier(end="Sigmoid"), labels=RGB, exclusive=True))
    with pytest.raises(ConfigError, match=r"exclusive: on a test with noise, the scores sum to [12]"):
        load(Options(model=classifier(end="HardSwish"), labels=RGB, exclusive=True, activation="none"))


@pytest.mark.parametrize("share", [224 / 256, 7 / 8, 0.5])
def test_crop_shows_the_middle_of_the_stretched_picture(classifier: Callable[..., Path], share: float) -> None:
    """A second computation with Pillow and NumPy: stretch, cut off the margins, and take the means."""
    picture = Image.effect_noise((90, 70), 80).convert("RGB")
    picture.paste((255, 0, 0), (0, 0, 20, 70))
    path = classifier(shape=(1, 3, 56, 56))
    moderator = load(Options(model=path, labels=RGB, crop=share))
    full = round(56 / share)
    margin = (full - 56) // 2
    stretched = np.asarray(picture.resize((full, full), Image.Resampling.BILINEAR))
    middle = stretched[margin : margin + 56, margin : margin + 56].astype(np.float64) / 255
    expected = softmax(*(4 * middle.mean(axis=(0, 1)) - 1))
    assert list(moderator.judge(PixelPicture(picture)).scores.values()) == pytest.approx(expected, abs=1e-4)
    assert input_edge(moderator) == full


def test_crop_of_a_picture_that_is_fitted_whole_is_refused(
    classifier: Callable[..., Path], detector: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigError, match='crop: it needs fit="stretch"'):
        load(Options(model=detector(), crop=0.875))
    with pytest.raises(ConfigError, match='crop: it needs fit="stretch"'):
        load(Options(model=classifier(), labels=RGB, fit="corner", crop=0.875))
    with pytest.raises(ConfigError, match=r"crop: give a share within 0\.5-1, such as 224/256, not 256"):
        Options(model=Path("model.onnx"), crop=256)


def test_file_of_another_hash_is_refused(classifier: Callable[..., Path]) -> None:
    path = classifier()
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load(Options(model=path, labels=RGB, sha256=found)).sha256 == found
    with pytest.raises(ConfigError, match=f"has the SHA-256 {found}, not the expected {'0' * 64}; install"):
        load(Options(model=path, labels=RGB, sha256="0" * 64))
    with pytest.raises(ConfigError, match="sha256: give 64 hexadecimal digits"):
        Options(model=path, sha256="864bb37bf886")


class Built:
    """What onnxruntime was asked for, by a gate and in an image process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[list[str]] = []
        real = onnxruntime.InferenceSession

        def note(model: bytes, options: Any, **kwargs: Any) -> Any:
            self.asked.append(list(kwargs["providers"]))
            return real(model, options, **kwargs)

        monkeypatch.setattr(onnxruntime, "InferenceSession", note)


AZURE = ("AzureExecutionProvider", "CPUExecutionProvider")
"""A second provider that onnxruntime has on every machine; it runs no operator of these models."""


def test_providers_are_used_by_sessions_of_image_processes_only(
    classifier: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = Built(monkeypatch)
    moderator = load(Options(model=classifier(), labels=RGB, providers=AZURE))
    assert built.asked == [["CPUExecutionProvider"]]
    sent: OnnxModerator = pickle.loads(pickle.dumps(moderator))
    assert len(built.asked) == 1, "the session is opened by prepare()"
    sent.prepare()
    sent.judge(plain(ORANGE))
    assert built.asked[1:] == [list(AZURE)]


def test_provider_that_is_not_installed_names_the_available_ones_and_the_package(
    classifier: Callable[..., Path],
) -> None:
    path = classifier()
    with pytest.raises(ConfigError) as raised:
        load(Options(model=path, labels=RGB, providers=("CUDAExecutionProvider", "MyExecutionProvider")))
    cuda, mine = raised.value.problems
    available = ", ".join(onnxruntime.get_available_providers())
    assert cuda == (
        f"onnx_moderation.providers: this onnxruntime has no 'CUDAExecutionProvider', only {available}; "
        "install onnxruntime-gpu instead of onnxruntime, or leave it out"
    )
    assert "'MyExecutionProvider'" in mine
    assert "install a build with it" in mine
    for providers in ((), ("CPUExecutionProvider",) * 2):
        with pytest.raises(ConfigError, match="providers: give each one once"):
            Options(model=path, providers=providers)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_provider_that_does_not_start_fails_instead_of_using_the_cpu(
    classifier: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build with CUDA on a machine without its driver lists the provider, but leaves it out of the session."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", *AZURE])
    moderator = load(Options(model=classifier(), labels=RGB, providers=("CUDAExecutionProvider", *AZURE)))
    with pytest.raises(
        ModerationFailed, match=r"cannot run .*model\.onnx on CUDA.*: CUDAExecutionProvider did not start"
    ):
        moderator.prepare()


def test_moderator_reads_the_files_that_a_provider_needs(classifier: Callable[..., Path], tmp_path: Path) -> None:
    path = classifier()
    assert load(Options(model=path, labels=RGB)).reads == (path,)
    assert load(Options(model=path, labels=RGB, reads=(tmp_path / "libs",))).reads == (path, tmp_path / "libs")


def test_session_module_disables_telemetry_before_it_imports_onnxruntime(tmp_path: Path) -> None:
    program = "import mediagate_plugins.onnx_moderation.session, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
    assert not list(tmp_path.iterdir()), "onnxruntime wrote a file"
