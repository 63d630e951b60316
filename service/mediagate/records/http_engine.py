"""Configured engines: a native binary that the client starts, or a server that the host runs, both over HTTP."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import httpx

from mediagate.records.client_patches import AsyncQueryEngine, errors

log = logging.getLogger("mediagate.records")

START = timedelta(seconds=20)
DYING_CHECKS, DYING_CHECK_S = 50, 0.01


class _HTTPEngine(AsyncQueryEngine):
    async def request(self, *args: Any, **options: Any) -> Any:
        """Send one request; raises ``EngineConnectionError`` instead of the errors of httpx."""
        try:
            return await super().request(*args, **options)
        except httpx.HTTPError as exc:
            raise errors.EngineConnectionError(f"the query engine at {self.url} does not answer") from exc


class NativeEngine(_HTTPEngine):
    """The binary in ``PRISMA_QUERY_ENGINE_BINARY``; the next query restarts it after it died."""

    async def connect(self, timeout: timedelta | None = None, datasources: Any = None) -> None:
        """Start the engine and wait until it answers."""
        self._datasources = datasources
        self._starting = asyncio.Lock()
        await super().connect(timeout or START, datasources)

    async def query(self, content: str, *, tx_id: Any) -> Any:
        """Send a query; inside a transaction it never restarts the engine, since the transaction was lost with it."""
        if tx_id is None:
            await self._revive()
        return await super().query(content, tx_id=tx_id)

    async def start_transaction(self, *, content: str) -> Any:
        """Start a transaction."""
        await self._revive()
        return await super().start_transaction(content=content)

    async def request(self, method: Any, path: str, **options: Any) -> Any:
        """Send one request; fail only once a dying engine has ended, so that the next query restarts it."""
        try:
            return await super().request(method, path, **options)
        except errors.EngineConnectionError:
            for _ in range(DYING_CHECKS if method == "POST" else 0):
                if self.process is None or self.process.poll() is not None:
                    break
                await asyncio.sleep(DYING_CHECK_S)
            raise

    async def _revive(self) -> None:
        if self.process is None or self.process.poll() is None:
            return
        async with self._starting:
            if self.process is not None and self.process.poll() is not None and self.file is not None:
                log.warning("query engine ended with %s; restarting it", self.process.returncode)
                await self.spawn(self.file, START, self._datasources)


class RemoteEngine(_HTTPEngine):
    """An engine that the host runs itself and reaches by URL."""

    engine_url: str

    async def connect(self, timeout: timedelta | None = None, datasources: Any = None) -> None:
        """Query the engine's status."""
        self.url = self.engine_url.rstrip("/")
        await self.request("GET", "/status")

    def close(self, *, timeout: timedelta | None = None) -> None:
        """Leave the engine running: it belongs to the host."""

    async def aclose(self, *, timeout: timedelta | None = None) -> None:
        """Close the connections and leave the engine running."""
        await self._close_session()
