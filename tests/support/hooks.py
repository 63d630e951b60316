"""Hooks of an upload that record their calls, and that refuse uploads when a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

from mediagate import Job, MediaGate
from mediagate.errors import RequestError
from mediagate.values import Principal


class RecordedHooks:
    """Adds ``pre_receive``, ``pre_file`` and ``on_received`` to a gate that is not open yet.

    ``calls`` has a tuple for each call: the hook's name and its arguments (path, ids, bytes). ``pre_receive`` adds the
    header ``X-Left: 7`` to the answer.
    """

    def __init__(self, gate: MediaGate) -> None:
        self.calls: list[tuple[object, ...]] = []
        self._refusals: dict[str, RequestError] = {}
        gate.add_hook("pre_receive", self._pre_receive)
        gate.add_hook("pre_file", self._pre_file)
        gate.add_hook("on_received", self._on_received)

    @property
    def names(self) -> list[object]:
        """Return the names of the hooks that were called, in order."""
        return [name for name, *_ in self.calls]

    @contextmanager
    def refusing(self, hook: str, error: RequestError) -> Iterator[None]:
        """Let a hook raise an error for the length of the block."""
        self._refusals[hook] = error
        try:
            yield
        finally:
            del self._refusals[hook]

    async def _pre_receive(self, request: Request, principal: Principal | None) -> None:
        request.state.answer_headers = {"X-Left": "7"}
        self._called("pre_receive", request.url.path, principal and principal.id)

    async def _pre_file(self, request: Request, source_type: str) -> None:
        self._called("pre_file", source_type)

    async def _on_received(self, request: Request, received: int, job: Job | None) -> None:
        self._called("on_received", received, job and job.id)

    def _called(self, hook: str, *arguments: object) -> None:
        self.calls.append((hook, *arguments))
        if hook in self._refusals:
            raise self._refusals[hook]
