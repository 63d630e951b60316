"""Environment variables that look like settings but are unknown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches

from mediagate.config.settings import Settings

PREFIX = "MEDIAGATE_"
OF_THE_COMMAND = ("MEDIAGATE_GATE", "MEDIAGATE_LOG")
"""Variables of the command line, which are not settings."""

_ANOTHER_S = re.compile(
    r"MEDIAGATE_(TEST_\w+|ENGINE_(SOCKET|PARENT)|(\w+_)?SERVICE_(HOST|PORT)(_\w+)?|(\w+_)?PORT(_\d+_\w+)?)"
)
"""Variables of the tests, of the query engine, and those that Kubernetes and Docker set for a service of this name."""


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a sentence for each unknown variable with the prefix of settings, with the most similar setting."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | set(OF_THE_COMMAND)
    unknown = sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX) and name.upper() not in known and not _ANOTHER_S.fullmatch(name.upper())
    )
    return [f"{name} is not a setting{_advice(name.upper(), known)}" for name in unknown]


def _advice(name: str, known: set[str]) -> str:
    # Without the common prefix, which would make every name similar.
    ends = {one.removeprefix(PREFIX): one for one in sorted(known)}
    nearest = get_close_matches(name.removeprefix(PREFIX), ends, n=1)
    return f"; did you mean {ends[nearest[0]]}?" if nearest else "; it is ignored"
