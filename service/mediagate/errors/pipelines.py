"""Errors of pipelines that their sender can correct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mediagate.errors.requests import RequestError

SHOWN_FAULTS = 5
"""How many faults of a pipeline the text of its error names; ``errors`` has all."""


class InvalidPipeline(RequestError):
    """The steps of a pipeline are invalid; ``errors`` lists every fault, each with a JSON Pointer to its place."""

    code = "invalid_pipeline"
    status = 422

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("; ".join(f"{error['pointer'] or '/'}: {error['detail']}" for error in errors[:SHOWN_FAULTS]))
        self.errors = tuple(errors)
        """Per fault: ``pointer`` (RFC 6901), ``code``, ``detail`` and, if the place has a value, ``got``."""

    @property
    def members(self) -> Mapping[str, Any]:
        """All faults, as ``errors``."""
        return {"errors": [dict(error) for error in self.errors]}


class OperationFailed(RequestError):
    """A step of a pipeline does not fit its picture, such as a crop outside of it; ``step`` and ``op`` name it."""

    code = "operation_failed"
    status = 422
