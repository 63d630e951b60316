"""How a dialect words the calls of ``callbackUrl``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mediagate.values.job import JobStatus
from mediagate.values.status import Status


@dataclass(frozen=True, slots=True)
class CallbackForm:
    """The calls for jobs whose requests were written in one dialect."""

    body: Callable[[Status, bytes | None], Mapping[str, Any]]
    """Returns the JSON object to send for an ended job; the bytes are its file, if that is small enough to be sent."""
    ends: Collection[JobStatus] = (JobStatus.COMPLETE, JobStatus.REJECTED, JobStatus.FAILED)
    """The statuses that are told; for others nothing is sent."""
    signature_header: str | None = None
    """A further header with the signature of ``x-mediagate-signature``."""
