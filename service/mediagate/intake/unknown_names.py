"""Unknown fields and parameters: listed in the response, or refused if they resemble a known name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from itertools import islice

from mediagate.errors import InvalidParameter

LIKENESS = 0.75
"""Similarity (difflib's ratio, 0-1) from which a name counts as a misspelling: two letters swapped in four."""
MOST = 64
"""Maximum number of unknown names to compare: comparing takes time, and a query has room for thousands."""
LONGEST = 80
"""Maximum length of a name in a response, in characters."""
ELSEWHERE: Mapping[str, str] = {"page": "cursor", "pagesize": "limit", "perpage": "limit", "skip": "offset"}
"""Names of parameters in other services, with the equivalent here."""


def find_unknown(given: Iterable[str], known: Collection[str], *, strict: bool) -> list[str]:
    """Return the unknown ones among the given names, without duplicates.

    Raises ``InvalidParameter`` for one that resembles a known name that was not given, and, if ``strict``, for any.
    """
    names = dict.fromkeys(given)
    missing = {_plain(name): name for name in known if name not in names}
    missing |= {other: name for other, name in ELSEWHERE.items() if name in missing.values()}
    unknown = list(islice((name for name in names if name not in known), MOST))
    for name in unknown:
        if len(name) <= LONGEST and (meant := get_close_matches(_plain(name), missing, n=1, cutoff=LIKENESS)):
            raise InvalidParameter(f"{_shown(name)}: unknown name; did you mean {missing[meant[0]]}?")
        if strict:
            raise InvalidParameter(f"{_shown(name)}: unknown name; use {', '.join(sorted(known)) or 'none'}")
    return [_shown(name) for name in unknown]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _shown(name: str) -> str:
    return name[:LONGEST].encode(errors="replace").decode()
