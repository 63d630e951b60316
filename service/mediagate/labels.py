"""The names that thresholds use, and which moderator each of them belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mediagate.config import Source
from mediagate.errors import ConfigError


class Scored(Protocol):
    """What thresholds may name."""

    @property
    def labels(self) -> frozenset[str]: ...

    @property
    def groups(self) -> Mapping[str, frozenset[str]]: ...


@dataclass(frozen=True, slots=True)
class Names:
    """The labels and groups of several moderators."""

    labels: frozenset[str]
    groups: Mapping[str, frozenset[str]]


def names_of(*moderators: Scored) -> Names:
    """Return what thresholds may name; raises ``ConfigError`` for a name that two moderators have."""
    labels: frozenset[str] = frozenset()
    groups: dict[str, frozenset[str]] = {}
    for moderator in moderators:
        names = {*moderator.labels, *moderator.groups}
        if both := sorted(names & {*labels, *groups}):
            raise ConfigError(f"two moderators score {', '.join(both)}: give the labels of one other names")
        labels |= moderator.labels
        groups |= moderator.groups
    return Names(labels, groups)


def thresholds_for(source: Source, names: Scored) -> Source:
    """Return the source with those of its thresholds alone that name labels or groups of a moderator."""
    known = {*names.labels, *names.groups}
    return source.model_copy(
        update={
            field: {name: score for name, score in thresholds.items() if name in known}
            for field, thresholds in (("reject", source.reject), ("review", source.review))
        }
    )
