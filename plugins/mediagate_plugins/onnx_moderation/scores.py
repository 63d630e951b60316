"""From a model's output to one score per label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mediagate.errors import ModerationFailed
from mediagate_plugins.onnx_moderation.session import Tensor

TOLERANCE = 1e-3
"""How far half-precision rounding may carry a probability beyond 0 or 1."""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """The output of a model.

    ``classifier``: ``[1, labels]``. ``rows``: ``[1, 4 + labels, boxes]``, ``columns``: ``[1, boxes, 4 + labels]``; the
    first four values are the box. ``end2end``: ``[1, boxes, 6]``; the values are the box, its score and its label's
    index.
    """

    name: str
    form: Literal["classifier", "rows", "columns", "end2end"]
    activation: Literal["softmax", "sigmoid", "none"]
    labels: tuple[str, ...]
    exclusive: bool = False
    """Whether a picture has one of the labels only."""


def scores_of(raw: Tensor, spec: OutputSpec) -> Mapping[str, float]:
    """Return the score of every label (0-1); for a detector the highest score among the boxes, 0 without a box.

    Raises ``ModerationFailed`` for an output of a different shape, or numbers that are not probabilities.
    """
    values = np.asarray(raw, np.float64)
    if not np.isfinite(values).all():
        raise ModerationFailed("the model's output has numbers that are not finite")
    try:
        scores = _highest(values, spec)
    except (IndexError, ValueError) as exc:
        raise ModerationFailed(f"the model's output has the shape {list(values.shape)}: {exc}") from None
    if scores.shape != (len(spec.labels),):
        raise ModerationFailed(f"the model scored {scores.size} labels instead of {len(spec.labels)}")
    return dict(zip(spec.labels, scores.tolist(), strict=True))


def _highest(values: NDArray[np.float64], spec: OutputSpec) -> NDArray[np.float64]:
    # Every number is checked before the maximum is taken: the maxima of a detector's logits may look valid.
    match spec.form:
        case "classifier":
            return _probabilities(_activated(values.reshape(-1), spec.activation))
        case "rows":
            return _highest_along(1, _activated(values[0, 4:, :], spec.activation))
        case "columns":
            return _highest_along(0, _activated(values[0, :, 4:], spec.activation))
        case "end2end":
            return _highest_of_boxes(_probabilities(values[0, :, 4]), values[0, :, 5], len(spec.labels))


def _highest_along(axis: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_probabilities(values).max(axis=axis, initial=0), np.float64)


def _probabilities(values: NDArray[np.float64]) -> NDArray[np.float64]:
    lowest, highest = values.min(initial=0), values.max(initial=0)
    if lowest < -TOLERANCE or highest > 1 + TOLERANCE:
        raise ModerationFailed(
            f"the model's scores lie within {lowest:.3g} to {highest:.3g}, not 0 to 1; "
            'if they are logits, set activation="softmax" (one label per image) or "sigmoid"'
        )
    return values.clip(0, 1)


def _highest_of_boxes(scores: NDArray[np.float64], indices: NDArray[np.float64], labels: int) -> NDArray[np.float64]:
    # A row with score 0 is padding, whatever its index.
    scores, indices = scores[scores > 0], indices[scores > 0]
    whole = indices.astype(np.intp)
    if (whole != indices).any() or (whole < 0).any() or (whole >= labels).any():
        raise ModerationFailed(f"the model returned a label index outside of 0-{labels - 1}")
    highest = np.zeros(labels)
    np.maximum.at(highest, whole, scores)
    return highest


def _activated(values: NDArray[np.float64], activation: str) -> NDArray[np.float64]:
    if activation == "softmax":
        powers = np.exp(values - values.max())
        return np.asarray(powers / powers.sum())
    if activation == "sigmoid":
        # Equal to 1 / (1 + exp(-x)), without overflow.
        return np.asarray(0.5 * (1 + np.tanh(values / 2)))
    return values
