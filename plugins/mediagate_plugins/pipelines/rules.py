"""What the requests of a gate may ask of its pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from mediagate import Key, Principal, Source
from mediagate.operations import Operations
from mediagate_plugins.pipelines.preset import Preset

AdHoc = Literal["none", "admin", "all"]
"""Who may send steps of its own: nobody, admins, or every authenticated caller."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``gate[PIPELINES]``: the operations, the presets, and the limits."""

    operations: Operations
    presets: Mapping[str, Preset]
    source_type: str
    source: Source
    ad_hoc: AdHoc
    strict: bool = False

    @property
    def max_ttl(self) -> timedelta:
        """How long outputs can be kept, which is also how long they are kept unless a request asks for less."""
        return self.source.ttl or timedelta(0)

    def may_ad_hoc(self, principal: Principal | None) -> bool:
        """Return whether a caller may send steps of its own; an unauthenticated one never may."""
        return principal is not None and (self.ad_hoc == "all" or (self.ad_hoc == "admin" and principal.admin))


PIPELINES: Key[Rules] = Key("PIPELINES")
