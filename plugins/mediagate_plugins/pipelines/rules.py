"""What the requests of a gate may ask of its pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mediagate import Key, Principal, Source
from mediagate.operations import Operations
from mediagate_plugins.pipelines.preset import Preset

AdHoc = Literal["none", "admin", "all"]
"""Who may send steps of its own: nobody, admins, or every authenticated caller."""
MOST_FILES = 10
"""Files on which one request runs its steps."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``gate[PIPELINES]``: the operations, the presets, and the limits."""

    operations: Operations
    presets: Mapping[str, Preset]
    source_type: str
    source: Source
    ad_hoc: AdHoc
    ttl_hours: float
    max_ttl_hours: float
    strict: bool

    def may_ad_hoc(self, principal: Principal | None) -> bool:
        """Return whether a caller may send steps of its own; an unauthenticated one never may."""
        return principal is not None and (self.ad_hoc == "all" or (self.ad_hoc == "admin" and principal.admin))


PIPELINES: Key[Rules] = Key("PIPELINES")
