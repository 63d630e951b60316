"""The names that a storage gives to the four kinds of files, in place of the first segment of their keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from itertools import combinations

MOST_CHARACTERS = 128
OWN = "mediagate"
"""The folder of the mark of a storage, which has no other name."""

_SEGMENT = "[A-Za-z0-9_-][A-Za-z0-9._-]*"
_PREFIX = re.compile(f"{_SEGMENT}(/{_SEGMENT})*")


@dataclass(frozen=True, slots=True)
class KeyPrefixes:
    """Where a storage keeps quarantined files, variants, originals and outputs; raises ``ValueError``.

    Keys on record and in URLs of the gate begin with the names of these fields, whatever a storage calls them: the
    object of ``media/avatar/…`` is ``img/avatar/…`` with ``media="img"``.
    """

    staging: str = "staging"
    media: str = "media"
    originals: str = "originals"
    outputs: str = "outputs"

    def __post_init__(self) -> None:
        for name, prefix in self.to_json().items():
            try:
                check_key_prefix(prefix)
            except ValueError as exc:
                raise ValueError(f"{name}: {exc}") from None
        named = {**self.to_json(), OWN: OWN}
        for (one, first), (other, second) in combinations(named.items(), 2):
            # Without regard to case, which some file systems ignore.
            a, b = f"{first.lower()}/", f"{second.lower()}/"
            if a.startswith(b) or b.startswith(a):
                raise ValueError(f"the prefixes of {one} ({first}) and {other} ({second}) overlap: keep them apart")

    def name_of(self, key: str) -> str:
        """Return the name of the object of a key, or of the folder of a prefix of keys."""
        root, slash, rest = key.partition("/")
        return f"{getattr(self, root)}{slash}{rest}" if root in _ROOTS else key

    def to_json(self) -> dict[str, str]:
        """Return the prefixes by kind."""
        return dict(zip(_ROOTS, astuple(self), strict=True))

    @classmethod
    def of(cls, written: Mapping[object, object]) -> KeyPrefixes:
        """Return the prefixes that ``to_json`` wrote; raises ``ValueError``."""
        if written.keys() != {*_ROOTS}:
            raise ValueError(f"give {', '.join(_ROOTS)}")
        return cls(**{name: check_key_prefix(written[name]) for name in _ROOTS})


_ROOTS = tuple(field.name for field in fields(KeyPrefixes))


def check_key_prefix(prefix: object) -> str:
    """Return a prefix without slashes at its ends; raises ``ValueError`` if it is malformed."""
    if isinstance(prefix, str) and len(prefix) <= MOST_CHARACTERS and _PREFIX.fullmatch(prefix):
        return prefix
    raise ValueError(
        f"use segments of A-Z a-z 0-9 . _ - joined by /, none starting with a dot, at most {MOST_CHARACTERS} characters"
    )
