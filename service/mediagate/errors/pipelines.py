"""Errors of pipelines that their sender can correct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mediagate.errors.requests import Forbidden, RequestError, Unauthorized

MOST_FAULTS = 100
"""Faults of one request that are told."""
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


class Faults:
    """Collects the faults of a request with many parts, to raise them together."""

    def __init__(self) -> None:
        self.errors: list[Mapping[str, Any]] = []
        """As in ``InvalidPipeline``."""

    @property
    def full(self) -> bool:
        """Whether there are as many faults as are told, so that no part needs to be checked any more."""
        return len(self.errors) >= MOST_FAULTS

    def add(self, pointer: str, code: str, detail: str) -> None:
        """Add a fault at a place of the request."""
        self.errors.append({"pointer": pointer, "code": code, "detail": detail})

    @contextmanager
    def at(self, pointer: str) -> Iterator[None]:
        """Add an error of the request that is raised within the block as faults at a place of the request.

        Errors that a repetition may not raise, ``Forbidden`` and ``Unauthorized`` concern all of it and are raised.
        """
        try:
            yield
        except InvalidPipeline as exc:
            self.errors += [{**error, "pointer": f"{pointer}{error['pointer']}"} for error in exc.errors]
        except RequestError as exc:
            if exc.retryable or isinstance(exc, Forbidden | Unauthorized):
                raise
            self.add(pointer, exc.code, exc.detail)

    def check(self) -> None:
        """Raise ``InvalidPipeline`` with the first ``MOST_FAULTS`` faults, if there are any."""
        if self.errors:
            raise InvalidPipeline(self.errors[:MOST_FAULTS])


class OperationFailed(RequestError):
    """A step of a pipeline does not fit its picture, such as a crop outside of it; ``step`` and ``op`` name it."""

    code = "operation_failed"
    status = 422
