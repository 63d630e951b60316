"""The environment variables that a production reads: the command, ``mediagate serve`` and the example gate."""

from __future__ import annotations

import re

from mediagate import Settings
from tests.support.server import ROOT

GATE = (ROOT / "examples" / "production_gate.py").read_text()
OF_THE_COMMAND = {"MEDIAGATE_GATE", "MEDIAGATE_LOG"}
"""Variables that the command reads and that are not settings."""
OF_SERVE = {"HOST", "PORT", "CORS_ORIGINS", "CORS_CREDENTIALS", "FORWARDED_ALLOW_IPS"}
"""Variables that are options of `mediagate serve`."""


def read_by_the_gate() -> set[str]:
    return set(re.findall(r'(?:value|several|yes)\("(\w+)"', GATE))


def unknown(names: set[str]) -> set[str]:
    """Return the variables that nothing of a production reads."""
    settings = {f"MEDIAGATE_{name.upper()}" for name in Settings.model_fields}
    others = {name for name in names if not name.startswith("AWS_")}
    return others - settings - OF_THE_COMMAND - OF_SERVE - read_by_the_gate()
