"""Environment variables that look like settings and are none."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches

from mediagate.config.settings import Settings

PREFIX = "MEDIAGATE_"
OF_THE_COMMAND = ("MEDIAGATE_GATE", "MEDIAGATE_LOG")
"""Variables that the command line reads, and that are no settings."""

_ANOTHER_S = re.compile(
    r"MEDIAGATE_(TEST_\w+|ENGINE_(SOCKET|PARENT)|(\w+_)?SERVICE_(HOST|PORT)(_\w+)?|(\w+_)?PORT(_\d+_\w+)?)"
)
"""Those of the tests and of the query engine, and what Kubernetes and Docker set for a service of this name."""


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a sentence for each variable that begins like a setting and is none, with the nearest that there is."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | set(OF_THE_COMMAND)
    unknown = sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX) and name.upper() not in known and not _ANOTHER_S.fullmatch(name.upper())
    )
    return [f"{name} is no setting{_advice(name.upper(), known)}" for name in unknown]


def _advice(name: str, known: set[str]) -> str:
    # Without what all have in common, or anything would be near.
    ends = {one.removeprefix(PREFIX): one for one in sorted(known)}
    nearest = get_close_matches(name.removeprefix(PREFIX), ends, n=1)
    return f"; did you mean {ends[nearest[0]]}?" if nearest else ", and is not looked at"
