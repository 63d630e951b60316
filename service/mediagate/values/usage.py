"""Usage: uploads, bytes, model runs and job results, by the UTC day of the upload.

There are no separate counters: usage is a sum over the job rows, so it is correct after any crash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from mediagate.values.job import JobStatus


@dataclass(frozen=True, slots=True)
class Usage:
    """Totals of uploads and their jobs; ``bytes_in`` were uploaded, ``bytes_out`` were published."""

    uploads: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    model_runs: int = 0
    """How often the model ran; attempts that died before their verdict are not counted."""
    jobs: Mapping[JobStatus, int] = field(default_factory=dict)
    """Number of uploads by job status."""
    credits: int = 0
    """The prices of COMPLETE jobs."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.uploads + other.uploads,
            self.bytes_in + other.bytes_in,
            self.bytes_out + other.bytes_out,
            self.model_runs + other.model_runs,
            {s: n for s in JobStatus if (n := self.jobs.get(s, 0) + other.jobs.get(s, 0))},
            self.credits + other.credits,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the usage object of the HTTP API."""
        return {
            "uploads": self.uploads,
            "bytesIn": self.bytes_in,
            "bytesOut": self.bytes_out,
            "modelRuns": self.model_runs,
            "credits": self.credits,
            "jobs": {str(status): self.jobs.get(status, 0) for status in JobStatus},
        }


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The usage of one owner, or of all owners (``owner`` is ``None``), between two UTC days, both included."""

    owner: str | None
    first: date
    last: date
    days: Mapping[date, Usage]
    """Days with uploads, in order."""
    keys: Mapping[str, Usage] = field(default_factory=dict)
    """Usage by key; uploads without a key are in the total only."""

    @property
    def total(self) -> Usage:
        """The sum of the days."""
        return added(self.days.values())

    def to_json(self) -> dict[str, Any]:
        """Return the body of ``GET /usage``."""
        return {
            "owner": self.owner,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "days": [{"day": day.isoformat(), **usage.to_json()} for day, usage in self.days.items()],
            "total": self.total.to_json(),
            "keys": [{"key": key, **usage.to_json()} for key, usage in self.keys.items()],
        }


def added(parts: Iterable[Usage]) -> Usage:
    """Return the sum of several usages."""
    return sum(parts, Usage())
