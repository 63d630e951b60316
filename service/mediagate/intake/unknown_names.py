"""Fields and parameters that nobody reads: named in the answer, or refused where another name was meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from itertools import islice

from mediagate.errors import InvalidParameter

LIKENESS = 0.75
"""How like a known name one must be to count as a slip of it (difflib's ratio, 0-1): two letters swapped in four."""
MOST = 64
"""How many unknown names are looked at; comparing takes time, and a query has room for thousands."""
LONGEST = 80
"""Characters of a name that are told."""
ELSEWHERE: Mapping[str, str] = {"offset": "cursor", "page": "cursor", "pagesize": "limit", "perpage": "limit"}
"""What other services call a parameter of ours."""


def find_unknown(given: Iterable[str], known: Collection[str], *, strict: bool) -> list[str]:
    """Return those of the given names that are not known, each once.

    Raises ``InvalidParameter`` for one that is nearly a known name which was not given, and, when ``strict``, for any.
    """
    names = dict.fromkeys(given)
    missing = {_plain(name): name for name in known if name not in names}
    missing |= {other: name for other, name in ELSEWHERE.items() if name in missing.values()}
    unknown = list(islice((name for name in names if name not in known), MOST))
    for name in unknown:
        if len(name) <= LONGEST and (meant := get_close_matches(_plain(name), missing, n=1, cutoff=LIKENESS)):
            raise InvalidParameter(f"{_told(name)}: nothing is called so; did you mean {missing[meant[0]]}?")
        if strict:
            raise InvalidParameter(
                f"{_told(name)}: nothing is called so; known are {', '.join(sorted(known)) or 'none'}"
            )
    return [_told(name) for name in unknown]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _told(name: str) -> str:
    return name[:LONGEST].encode(errors="replace").decode()
