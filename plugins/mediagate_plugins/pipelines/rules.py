"""What the requests of a gate may ask of its pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from mediagate import FormLimits, Key, Principal, Source
from mediagate.operations import MOST_INPUTS, Operations
from mediagate_plugins.pipelines.preset import Preset

AdHoc = Literal["none", "admin", "all", "local"]
"""Who may send steps of its own: nobody, admins, every authenticated caller, or every caller on the same machine."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``gate[PIPELINES]``: the operations, the presets, and the limits."""

    operations: Operations
    presets: Mapping[str, Preset]
    source_type: str
    source: Source
    ad_hoc: AdHoc
    strict: bool = False
    batch_jobs: int = 100
    batch_max_bytes: int = 500_000_000

    @property
    def batch_limits(self) -> FormLimits:
        """The limits of the form of a batch: as many files as jobs, and pictures to which their steps refer."""
        return FormLimits(self.batch_jobs + MOST_INPUTS, self.batch_max_bytes, named=True)

    @property
    def max_ttl(self) -> timedelta:
        """How long outputs can be kept, which is also how long they are kept unless a request asks for less."""
        return self.source.ttl or timedelta(0)

    def may_ad_hoc(self, principal: Principal | None, *, local: bool = False) -> bool:
        """Return whether a caller, which is on the same machine or not, may send steps of its own."""
        if self.ad_hoc == "local":
            return local
        return principal is not None and (self.ad_hoc == "all" or (self.ad_hoc == "admin" and principal.admin))


PIPELINES: Key[Rules] = Key("PIPELINES")
