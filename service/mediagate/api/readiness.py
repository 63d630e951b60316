"""The readiness check, run at most once a second for all callers together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from mediagate.errors import MediagateError, Unavailable, known_error
from mediagate.intake import probe_spool
from mediagate.parts import Parts
from mediagate.values import staging_key

ASK_EVERY_S = 1.0
PATIENCE_S = 10.0
"""Timeout for database and storage, in seconds; includes the 5 s for which a locked SQLite file is waited for."""


class Readiness:
    """The check behind ``/readyz``: uses each dependency of an upload once and changes nothing."""

    def __init__(self, parts: Parts, spool_dir: Path, *, alive: Callable[[], bool]) -> None:
        self._parts = parts
        self._spool_dir = spool_dir
        self._alive = alive
        self._asking: asyncio.Task[MediagateError | None] | None = None
        self._asked_at = float("-inf")

    async def check(self) -> None:
        """Raise ``Unavailable``, or the error of a part, unless records, storage, spool and worker are operational."""
        if not self._alive():
            raise Unavailable("the worker of this process has stopped; restart the process")
        asking = self._asking
        if asking is None or (asking.done() and time.monotonic() - self._asked_at >= ASK_EVERY_S):
            asking = self._asking = asyncio.create_task(self._ask())
        # Shielded because other callers wait for it too.
        failure = await asyncio.shield(asking)
        if failure is not None:
            raise failure.with_traceback(None)

    async def close(self) -> None:
        """Cancel a running check."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> MediagateError | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._use()
        except TimeoutError:
            return Unavailable(f"the database or the storage did not answer within {PATIENCE_S:g} s")
        except Exception as exc:
            if (known := known_error(exc)) is None:
                raise
            return known
        finally:
            self._asked_at = time.monotonic()
        return None

    async def _use(self) -> None:
        await self._parts.records.check()
        probe = getattr(self._parts.storage, "probe", None)
        if probe is None:
            await self._parts.storage.stat(staging_key("readiness"))
        else:
            await probe()
        await probe_spool(self._spool_dir)
