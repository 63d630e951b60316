"""The labels of a model, from the options or from the file's metadata, and their groups."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from mediagate.errors import ConfigError

METADATA_KEYS = ("names", "id2label", "labels", "classes")
"""``names`` is Ultralytics' key, ``id2label`` that of Hugging Face."""


def labels_of(given: tuple[str, ...] | None, metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the labels in the order of the outputs; raises ``ConfigError`` for missing or duplicate labels."""
    found = given if given is not None else _from_metadata(metadata)
    if not found:
        raise ConfigError(
            "onnx_moderation.labels: the model file has no labels; give them in the order of its outputs, "
            'such as labels=["drawing", "porn"]'
        )
    labels = tuple(label for label in found if isinstance(label, str) and label.strip())
    if len(labels) < len(found):
        raise ConfigError(f"onnx_moderation.labels: give non-empty texts, not {list(found)}")
    if twice := [label for label, times in Counter(labels).items() if times > 1]:
        raise ConfigError(f"onnx_moderation.labels: give each label once; duplicates: {', '.join(twice)}")
    return labels


def check_groups(groups: Mapping[str, frozenset[str]], labels: tuple[str, ...]) -> None:
    """Raise ``ConfigError`` for groups that are empty, have a label's name or contain unknown labels."""
    problems = []
    for group, members in groups.items():
        if unknown := sorted(members - set(labels)):
            problems.append(
                f"onnx_moderation.groups: {group!r} names {', '.join(unknown)}; the labels are {', '.join(labels)}"
            )
        if not members:
            problems.append(f"onnx_moderation.groups: {group!r} is empty")
        if group in labels:
            problems.append(f"onnx_moderation.groups: {group!r} is also a label; rename the group")
    if problems:
        raise ConfigError(problems)


def literal(text: str) -> object:
    """Parse metadata in JSON or as a Python literal; ``None`` for any other text."""
    with suppress(ValueError):
        return json.loads(text)
    with suppress(ValueError, SyntaxError):
        return ast.literal_eval(text)
    return None


def _from_metadata(metadata: Mapping[str, str]) -> tuple[object, ...]:
    for key in METADATA_KEYS:
        match literal(metadata.get(key, "")):
            case [*names]:
                return tuple(names)
            case dict() as names:
                return _in_order({str(index): name for index, name in names.items()}, key)
    return ()


def _in_order(names: Mapping[str, object], key: str) -> tuple[object, ...]:
    if missing := sorted({str(index) for index in range(len(names))} - names.keys()):
        raise ConfigError(
            f"onnx_moderation.labels: the file's metadata {key!r} has {len(names)} labels, but none for output "
            f"{missing[0]}; give labels=[…] in the order of the outputs"
        )
    return tuple(names[str(index)] for index in range(len(names)))
