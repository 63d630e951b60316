"""Which moderators judge the pictures of a source, and whether its thresholds fit them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mediagate.config import Source
from mediagate.errors import ConfigError, ModerationFailed
from mediagate.moderation.ensemble import Ensemble, members_of
from mediagate.moderation.labels import Scored, check_names, names_of, policy_problems
from mediagate.moderation.protocols import Moderator, RemoteModerator, name_of


def judging(moderator: Moderator | None, source: Source, *, required: bool = False) -> Moderator | None:
    """Return the moderators that judge a source's pictures, as one moderator; ``None``: none of these does.

    With ``required``, raises ``ModerationFailed`` if there are moderators, and none of them does.
    """
    if moderator is None or source.moderators is None:
        return moderator
    members = members_of(moderator)
    kept = members.keys() & source.moderators
    if required and not kept:
        raise ModerationFailed(f"the source is judged by {', '.join(source.moderators)}, which the gate does not have")
    if not kept or len(kept) == len(members):
        return moderator if kept else None
    return moderator.part(*kept) if isinstance(moderator, Ensemble) else moderator


def judged_remotely(source: Source, remote: RemoteModerator) -> bool:
    """Return whether a remote moderator judges a source's pictures."""
    return source.moderators is None or name_of(remote) in source.moderators


def selection_problems(
    sources: Mapping[str, Source], moderator: Moderator | None, remote: RemoteModerator | None
) -> list[str]:
    """Return the mismatches between each source and the moderators that judge its pictures.

    These are unknown moderators, moderators that decide nothing, and the ``policy_problems``. Raises ``ConfigError``
    if two moderators have one name or score one label.
    """
    everyone = _scored(moderator, remote)
    check_names(*everyone.values())
    problems: list[str] = []
    for source_type, source in sources.items():
        where = f"sources[{source_type!r}]"
        problems += [
            f"{where}.moderators: no moderator is named {name!r}; the gate has {', '.join(everyone)}"
            for name in source.moderators or ()
            if name not in everyone
        ]
        called = remote if remote is not None and judged_remotely(source, remote) else None
        judges = _scored(judging(moderator, source), called)
        if judges:
            problems += policy_problems({source_type: source}, names_of(*judges.values()))
            problems += [f"{where}: {problem}" for problem in _idle(source, judges)]
    return list(dict.fromkeys(problems))


def _scored(moderator: Moderator | None, remote: RemoteModerator | None) -> dict[str, Scored]:
    """Return the moderators by name, each with its labels and groups as thresholds name them."""
    scored: dict[str, Scored] = dict(members_of(moderator))
    if isinstance(moderator, Ensemble):
        scored = {name: moderator.part(name) for name in moderator.members}
    if remote is not None:
        if name_of(remote) in scored:
            raise ConfigError(f"a local and the remote moderator are named {name_of(remote)}; rename the local one")
        scored[name_of(remote)] = remote
    return scored


def _idle(source: Source, judges: Mapping[str, Scored]) -> Iterator[str]:
    """Yield the moderators whose scores no threshold reads, although others are read."""
    groups = names_of(*judges.values()).groups
    read = {label for name in (*source.reject, *source.review) for label in groups.get(name, (name,))}
    if not read:
        return
    for name, one in judges.items():
        if one.labels and not one.labels & read:
            example = min(one.groups, default=min(one.labels))
            yield (
                f"no threshold reads a score of the moderator {name!r}; set one, such as "
                f'Source(reject={{"{example}": 0.5}}), or name the others alone in moderators=…'
            )
