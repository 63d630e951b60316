"""Moderation with an ONNX model: any image classifier, or a detector as Ultralytics exports it.

``pip install "mediagate[onnx]"``. The model runs in each image process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mediagate import plugin
from mediagate.errors import ConfigError
from mediagate_plugins.onnx_moderation.options import Activation, Colour, Fit, Kind, Layout, Options
from mediagate_plugins.onnx_moderation.providers import CPU

if TYPE_CHECKING:
    from mediagate import MediaGate
    from mediagate_plugins.onnx_moderation.moderator import OnnxModerator


log = logging.getLogger("mediagate")


@plugin("onnx_moderation", provides=("MODERATOR",), repeatable=True)
async def onnx_moderation(
    gate: MediaGate,
    *,
    model: str | Path,
    name: str = "onnx_moderation",
    sha256: str | None = None,
    labels: Sequence[str] | None = None,
    groups: Mapping[str, Collection[str]] | None = None,
    kind: Kind = "auto",
    layout: Layout = "auto",
    size: int | tuple[int, int] | None = None,
    fit: Fit = "auto",
    crop: float = 1.0,
    pad: int = 114,
    colour: Colour = "rgb",
    scale: float | None = None,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    activation: Activation = "auto",
    exclusive: bool | None = None,
    output: str | None = None,
    threads: int = 1,
    providers: Sequence[str] = CPU,
    reads: Sequence[str | Path] = (),
) -> None:
    """Let the ONNX model in file ``model`` judge every image; an unsuitable model or option stops the boot.

    It may be registered several times, for several models: ``name`` tells them apart, in ``Source(moderators=…)`` and
    in verdicts. ``sha256`` is the hash of the expected file, in hexadecimal digits; by default every file is accepted.

    These options are read from the file by default: ``labels`` (metadata ``names``, ``id2label``, ``labels`` or
    ``classes``), ``kind`` (``classifier``, ``detector`` with every box, ``end2end`` with boxes after suppression),
    ``layout``, and ``size`` in pixels (a side, or width and height; required when the model takes any size). ``output``
    selects one of several outputs.

    An ONNX file does not describe how images were prepared in training, so compare the following with the model's card.
    A value is ``(pixel x scale - mean) / std``; ``scale`` is 1/255 by default, ``mean`` and ``std`` are in the order of
    ``colour``. ``fit="stretch"`` (default of a classifier, which thus sees the whole picture) distorts the picture;
    ``"centre"`` (default of a detector) and ``"corner"`` preserve its proportions and pad it with the grey ``pad``.
    ``crop`` is the share of each edge that is shown of a stretched picture, such as 224/256: the margins around it are
    not judged in this view.

    With ``activation="auto"``, a graph that ends in softmax or sigmoid, and any detector, outputs probabilities. Other
    outputs of a classifier are read as logits of mutually exclusive labels (softmax; sigmoid for a single label). Set
    ``"sigmoid"`` for a model that can assign several labels to an image.

    ``groups`` names sets of labels for thresholds. If the labels exclude each other (``exclusive``; by default those of
    a softmax do), a group scores the sum of its labels, otherwise their maximum. ``threads`` is per image process.

    ``providers`` are onnxruntime's execution providers, such as ``("CUDAExecutionProvider", "CPUExecutionProvider")``.
    The gate inspects the model on the CPU; each image process opens its own session with these providers, and does not
    start if one of them does not. ``reads`` are further files and devices that a provider opens there.
    """
    options = Options(
        model=Path(model),
        name=name,
        sha256=sha256,
        labels=None if labels is None else tuple(labels),
        groups={group: frozenset(members) for group, members in (groups or {}).items()},
        kind=kind,
        layout=layout,
        size=(size, size) if isinstance(size, int) else size,
        fit=fit,
        crop=crop,
        pad=pad,
        colour=colour,
        scale=scale,
        mean=tuple(mean),
        std=tuple(std),
        activation=activation,
        exclusive=exclusive,
        output=output,
        threads=threads,
        providers=tuple(providers),
        reads=tuple(map(Path, reads)),
    )
    # Imported here because image processes load this module too, without the web and database parts.
    from mediagate import MODERATOR

    moderator = await asyncio.to_thread(load, options)
    log.info("moderating with %s: %d labels", moderator.path, len(moderator.labels))
    log.debug("%s: %s, %s", moderator.path, moderator.input, moderator.output)
    gate.decorate(MODERATOR, moderator)


def load(options: Options) -> OnnxModerator:
    """Return the moderator for a model; raises ``ConfigError``, also when the extra is not installed."""
    try:
        from mediagate_plugins.onnx_moderation.moderator import OnnxModerator  # imported lazily: heavy, and an extra
    except ImportError as exc:
        raise ConfigError(
            f'onnx_moderation needs onnxruntime and NumPy: pip install "mediagate[onnx]" ({exc})'
        ) from None
    return OnnxModerator(options)
