"""An ensemble: several moderators that judge a picture together, as one moderator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from mediagate.errors import ConfigError, ModerationFailed
from mediagate.moderation.policy import stricter
from mediagate.moderation.protocols import Moderator, Picture, exclusive_of, input_edge, name_of, reads_of
from mediagate.values import Verdict


@dataclass(frozen=True)
class Ensemble:
    """Moderators by name. It is pickled with them and sent to the image processes.

    A label that another moderator has too, or that is another's group, is called ``name/label`` here. A group has the
    labels of all groups of its name, and the label of its name.
    """

    members: Mapping[str, Moderator]
    label_names: Mapping[str, Mapping[str, str]]
    """The names of the labels here, by moderator and by their names there."""
    group_names: frozenset[str]
    """The names of the groups."""

    @property
    def labels(self) -> frozenset[str]:
        """The labels of all members."""
        return frozenset().union(*(self._labels(name) for name in self.members))

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """The groups of all members, by the names of their labels here."""
        groups: dict[str, frozenset[str]] = {}
        for name, member in self.members.items():
            names = self.label_names[name]
            joining = {label: {label} for label in member.labels & self.group_names if names[label] != label}
            for group, labels in (*member.groups.items(), *joining.items()):
                groups[group] = groups.get(group, frozenset()) | {names.get(label, label) for label in labels}
        return groups

    @property
    def exclusive(self) -> tuple[frozenset[str], ...]:
        """The sets of labels that exclude each other, by their names here."""
        return tuple(
            frozenset(self.label_names[name][label] for label in labels if label in self.label_names[name])
            for name, member in self.members.items()
            for labels in exclusive_of(member)
        )

    def part(self, *names: str) -> Ensemble:
        """Return these members as an ensemble; labels and groups keep their names."""
        return replace(self, members={name: member for name, member in self.members.items() if name in names})

    def _labels(self, name: str) -> frozenset[str]:
        return frozenset(self.label_names[name][label] for label in self.members[name].labels)

    @property
    def input_edge(self) -> int:
        """The largest of the members' input edges: each member reduces a picture to its own."""
        return max(map(input_edge, self.members.values()))

    @property
    def smallest_input_edge(self) -> int:
        """The smallest of the members' input edges, which needs the most views."""
        return min(map(input_edge, self.members.values()))

    @property
    def reads(self) -> tuple[Path, ...]:
        """The files of all members."""
        return tuple(path for member in self.members.values() for path in reads_of(member))

    def prepare(self) -> None:
        """Prepare all members."""
        for member in self.members.values():
            member.prepare()

    def judge(self, picture: Picture) -> Verdict:
        """Let all members judge a picture; return their scores and the strictest decision.

        Fails if one of them fails.
        """
        judged = [self._judged(name, picture) for name in self.members]
        verdict = judged[0]
        for other in judged[1:]:
            if both := sorted(verdict.scores.keys() & other.scores.keys()):
                raise ModerationFailed(f"two moderators scored {', '.join(both)}, which none of them declares")
            verdict = stricter(verdict, other)
        return verdict

    def _judged(self, name: str, picture: Picture) -> Verdict:
        try:
            verdict = self.members[name].judge(picture)
        except ModerationFailed as exc:
            raise ModerationFailed(f"{name}: {exc.detail}") from exc
        names = self.label_names[name]
        return replace(
            verdict,
            scores={names.get(label, label): score for label, score in verdict.scores.items()},
            models={name: verdict.model_hash},
        )


@runtime_checkable
class TellsSmallestEdge(Protocol):
    """A moderator that has models with different input edges."""

    @property
    def smallest_input_edge(self) -> int: ...


def members_of(moderator: Moderator | None) -> Mapping[str, Moderator]:
    """Return the moderators that judge as one, by name."""
    if moderator is None:
        return {}
    return moderator.members if isinstance(moderator, Ensemble) else {name_of(moderator): moderator}


def together(*moderators: Moderator) -> Ensemble:
    """Return moderators, each of which may be an ensemble, as one; raises ``ConfigError`` for a name that two have."""
    named = [item for moderator in moderators for item in members_of(moderator).items()]
    members = dict(named)
    if len(members) < len(named):
        twice = [name for name, times in Counter(name for name, _ in named).items() if times > 1]
        raise ConfigError(
            f"several moderators are named {', '.join(twice)}; give each its own name, "
            'such as gate.register(onnx_moderation, name="gore", model=…)'
        )
    labels = Counter(label for member in members.values() for label in member.labels)
    groups = frozenset(group for member in members.values() for group in member.groups)
    several = len(members) > 1
    names = {
        name: {
            label: f"{name}/{label}" if several and (labels[label] > 1 or label in groups) else label
            for label in member.labels
        }
        for name, member in members.items()
    }
    return Ensemble(members, names, groups)


def smallest_input_edge(moderator: object) -> int:
    """Return the smallest input edge among the models of a moderator, in pixels."""
    return moderator.smallest_input_edge if isinstance(moderator, TellsSmallestEdge) else input_edge(moderator)
