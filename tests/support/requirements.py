"""What an installation of mediagate consists of, read from the metadata of this environment."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(name: str, extras: set[str]) -> Iterator[Requirement]:
    """Yield the requirements of an installed distribution with these extras."""
    for requirement in map(Requirement, requires(name) or ()):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            yield requirement


def installed_with(extras: set[str]) -> dict[str, Distribution]:
    """Return the distributions that pip installs for mediagate with these extras, without mediagate itself, by name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    left = [("mediagate", frozenset(extras))]
    while left:
        name, wanted = left.pop()
        for requirement in needed(name, set(wanted)):
            one = (canonicalize_name(requirement.name), frozenset(requirement.extras))
            if one not in seen:
                seen.add(one)
                left.append(one)
                found[one[0]] = distribution(one[0])
    found.pop("mediagate", None)
    return found
