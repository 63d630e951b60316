"""A request that was written in a dialect, in the words of ``POST /pipelines``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mediagate.errors import InvalidPipeline, RequestError


@dataclass(frozen=True, slots=True)
class Translation:
    """A request in the native words, and where its parts stand in the dialect's request."""

    document: dict[str, Any]
    """The JSON object of ``POST /pipelines`` or ``POST /batches``."""
    places: Mapping[str, str]
    """JSON Pointers of the dialect's request by those of ``document``; what is below one moves with it."""
    dialect: str
    endpoint: str | None = None
    """The path below the dialect's that the request was sent to."""
    outputs: int | None = None
    """How many files the request expects of its steps; its place is that of ``/outputs``."""

    @contextmanager
    def told(self) -> Iterator[None]:
        """Point the faults of a request that are raised within the block to their places in the dialect's request.

        A text that begins with the name of a native field begins with that of the dialect's field instead.
        """
        try:
            yield
        except InvalidPipeline as exc:
            errors = [{**error, "pointer": self._place(error["pointer"])} for error in exc.errors]
            raise InvalidPipeline(errors) from None
        except RequestError as exc:
            name, colon, rest = exc.detail.partition(":")
            if colon and (place := self.places.get(f"/{name}")):
                exc.detail = f"{place.removeprefix('/')}:{rest}"
            raise

    def _place(self, pointer: str) -> str:
        above = [place for place in self.places if f"{pointer}/".startswith(f"{place}/")]
        if not above:
            return pointer
        nearest = max(above, key=len)
        return self.places[nearest] + pointer.removeprefix(nearest)
