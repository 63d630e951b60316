"""The labels and groups that thresholds name, and their validation against the moderators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from mediagate.config import Source
from mediagate.errors import ConfigError


class Scored(Protocol):
    """An object with the labels and groups that thresholds may name."""

    @property
    def labels(self) -> frozenset[str]: ...

    @property
    def groups(self) -> Mapping[str, frozenset[str]]: ...


@dataclass(frozen=True, slots=True)
class Names:
    """The labels and groups of several moderators."""

    labels: frozenset[str]
    groups: Mapping[str, frozenset[str]]


def check_names(*moderators: Scored) -> None:
    """Raise ``ConfigError`` for a label that is also another moderator's label or group."""
    labels: set[str] = set()
    groups: set[str] = set()
    for moderator in moderators:
        if both := sorted((moderator.labels & (labels | groups)) | (moderator.groups.keys() & labels)):
            raise ConfigError(f"two moderators score {', '.join(both)}; rename the labels of one of them")
        labels |= moderator.labels
        groups |= moderator.groups.keys()


def names_of(*moderators: Scored) -> Names:
    """Return the labels and groups of moderators; a group has the labels of all groups of its name.

    Raises ``ConfigError`` as ``check_names`` does.
    """
    check_names(*moderators)
    labels: frozenset[str] = frozenset().union(*(moderator.labels for moderator in moderators))
    groups: dict[str, frozenset[str]] = {}
    for moderator in moderators:
        for group, members in moderator.groups.items():
            groups[group] = groups.get(group, frozenset()) | members
    return Names(labels, groups)


def thresholds_for(source: Source, names: Scored) -> Source:
    """Return the source with only the thresholds that name labels or groups of a moderator."""
    known = {*names.labels, *names.groups}
    return source.model_copy(
        update={
            field: {name: score for name, score in thresholds.items() if name in known}
            for field, thresholds in (("reject", source.reject), ("review", source.review))
        }
    )


def policy_problems(sources: Mapping[str, Source], moderator: Scored) -> list[str]:
    """Return the mismatches between the thresholds of the sources and the labels of the moderator.

    A moderator with labels does not decide by itself: a source without a threshold would publish every picture, so each
    source must have one. A moderator without labels decides by itself, and thresholds would have no effect.
    """
    known = {label: frozenset({label}) for label in moderator.labels} | dict(moderator.groups)
    problems = list(_group_problems(moderator))
    for source_type, source in sources.items():
        where = f"sources[{source_type!r}]"
        if moderator.labels and not source.reject and not source.review:
            example = min(moderator.groups, default=min(moderator.labels))
            problems.append(
                f"{where}: without a threshold every picture would be published; "
                f'set one, such as Source(reject={{"{example}": 0.5}})'
            )
        for field, thresholds in (("reject", source.reject), ("review", source.review)):
            problems += [f"{where}.{field}: {_unknown(name, moderator)}" for name in thresholds if name not in known]
        problems += [f"{where}.review: {problem}" for problem in _dead_reviews(source, known)]
    return problems


def _group_problems(moderator: Scored) -> Iterator[str]:
    for group, labels in moderator.groups.items():
        if group in moderator.labels:
            yield f"moderator: {group!r} is both a label and a group; rename the group"
        if not labels:
            yield f"moderator: group {group!r} is empty; add labels or remove it"
        if unknown := sorted(labels - moderator.labels):
            yield f"moderator: group {group!r} has labels that are never scored: {', '.join(unknown)}"


def _unknown(name: str, moderator: Scored) -> str:
    if not moderator.labels:
        return f"{name!r} has no effect: the moderator has no labels and decides by itself; remove the threshold"
    spelled = {known.casefold(): known for known in [*moderator.labels, *moderator.groups]}
    nearest = [spelled[match] for match in get_close_matches(name.casefold(), spelled, cutoff=0.5)]
    advice = f"did you mean {' or '.join(map(repr, nearest))}? " if nearest else ""
    groups = ", ".join(sorted(moderator.groups)) or "none"
    return (
        f"{name!r} is neither a label nor a group of the moderator; {advice}"
        f"Groups: {groups}; labels: {', '.join(sorted(moderator.labels))}"
    )


def _dead_reviews(source: Source, known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """Yield the review thresholds that no picture can reach without being rejected."""
    for name, threshold in source.review.items():
        for other, limit in source.reject.items():
            if limit < threshold and known.get(name, frozenset({name})) <= known.get(other, frozenset({other})):
                yield (
                    f"{name!r} has a review threshold of {threshold}, but {other!r} is already rejected from {limit}; "
                    "lower the review threshold or remove it"
                )
