"""Prisma's query engine: the WebAssembly build under Deno or Node on a private Unix socket, or a configured one.

This transport replaces the client's own, httpx over an open TCP port, which costs several times more per query.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from mediagate.config import native_engine
from mediagate.errors import ConfigError
from mediagate.records.address import with_absolute_paths
from mediagate.records.client_patches import AsyncQueryEngine, Prisma, errors
from mediagate.records.http_engine import NativeEngine, RemoteEngine
from mediagate.records.permissions import permissions_for
from mediagate.records.runtime import describe_runtime, find_runtime

log = logging.getLogger("mediagate.records")
# The client's debug lines contain the database's URL with its password, and every query.
logging.getLogger("mediagate.records.client").setLevel(logging.INFO)

PROGRAM = Path(__file__).parent / "query_engine" / "query-engine.cjs"
START_S = 20.0
STOP_S = 3.0
DYING_S = 0.5
LINE_S = 15.0
"""How long a request waits for its turn before it is sent."""
ANSWER_S = 45.0
"""The engine gives up on a silent database earlier, so an engine that takes longer hangs and is restarted."""
PLAIN_QUERIES = 32
STARTING_TRANSACTIONS = 8
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def open_client(url: str, engine_url: str | None) -> Prisma:
    """Return an unconnected client with the configured engine, or else the bundled one."""
    options: Any = {"use_dotenv": False, "datasource": {"url": url}, "http": {"trust_env": False}}
    if engine_url is not None:
        remote = _RemoteClient(**options)
        remote.engine_url = engine_url
        return remote
    if native_engine() is not None:
        return _NativeClient(**options)
    # It runs in a folder of its own: this process's may be deleted, as by a deployment, before the engine restarts.
    options["datasource"] = {"url": with_absolute_paths(url)}
    return _SocketClient(**options)


def describe_engine(client: Prisma) -> str:
    """Return which query engine a client uses, and the runtime of the bundled one; raises ``ConfigError``."""
    if isinstance(client, _RemoteClient):
        return "run by the host, at database_engine_url"
    if isinstance(client, _NativeClient):
        return f"{native_engine()}, from PRISMA_QUERY_ENGINE_BINARY"
    return describe_runtime()


class _Response:
    """An answer with the attributes that the client's error handling reads."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body
        self.original = self


class SocketEngine(AsyncQueryEngine):
    """The supervised engine in WebAssembly: the next query restarts it after it died.

    A query in flight at that time fails with ``EngineConnectionError`` and is not repeated; the caller decides.
    """

    _open = False

    async def connect(self, timeout: timedelta | None = None, datasources: Any = None) -> None:
        """Start the engine and wait until it listens."""
        if self.process is not None:
            raise errors.AlreadyConnectedError("Already connected to the query engine")
        self._datasources = datasources
        self._open = True
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._starting = asyncio.Lock()
        # Two limits, and none inside a transaction: requests that wait to start must never starve open transactions.
        self._plain = asyncio.Semaphore(PLAIN_QUERIES)
        self._starts = asyncio.Semaphore(STARTING_TRANSACTIONS)
        await self._launch()

    async def _launch(self) -> None:
        runtime = await asyncio.to_thread(find_runtime)  # slow on its first call
        self._folder = Path(tempfile.mkdtemp(prefix="mediagate-"))
        socket, schema = self._folder / "engine", self.dml_path.absolute()
        env = {
            **os.environ,
            "PRISMA_DML_PATH": str(schema),
            "MEDIAGATE_ENGINE_SOCKET": str(socket),
            "MEDIAGATE_ENGINE_PARENT": str(os.getpid()),
            "OVERWRITE_DATASOURCES": json.dumps(self._datasources),
            "NODE_OPTIONS": "",
            "DENO_DIR": str(self._folder),
            "DENO_NO_UPDATE_CHECK": "1",
            "NO_COLOR": "1",
        }
        try:
            url = self._datasources[0]["url"]
            permissions = permissions_for(url, program=PROGRAM, schema=schema, socket=socket, env=env)
            self.process = runtime.start(PROGRAM, permissions, env, self._folder)
        except (ConfigError, OSError):
            shutil.rmtree(self._folder)
            raise
        self.url = "unix"
        try:
            async with asyncio.timeout(START_S):
                while True:
                    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                        self._idle.append(await asyncio.open_unix_connection(str(socket)))
                        return
                    if self.process.poll() is not None:
                        break
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pass
        await asyncio.to_thread(self._stop)
        raise errors.EngineConnectionError("the query engine did not start; see standard error")

    async def _restart(self) -> None:
        async with self._starting:
            if self._open and not self._alive():
                log.warning("query engine ended with %s; restarting it", self.process and self.process.returncode)
                self._drop()
                await self._launch()

    def _alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def request(
        self,
        method: Any,
        path: str,
        *,
        content: Any = None,
        headers: dict[str, str] | None = None,
        parse_response: bool = True,
    ) -> Any:
        """Send one HTTP request over the socket and return its JSON."""
        if not self._alive():
            await self._restart()
        if self.process is None:
            raise errors.NotConnectedError("Not connected to the query engine")
        lines = [f"{method} {path} HTTP/1.1", "host: engine", f"content-length: {len((content or '').encode())}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        message = ("\r\n".join(lines) + "\r\n\r\n" + (content or "")).encode()
        async with self._limit(path, headers):
            response: Any = await self._answer_to(message)
        if not 200 <= response.status < 300:
            self._process_response_error(body=response.body.decode(), response=response)
        if not parse_response:
            return response.body.decode()
        return self._process_response_data(data=json.loads(response.body), response=response)

    @contextlib.asynccontextmanager
    async def _limit(self, path: str, headers: dict[str, str] | None) -> AsyncIterator[None]:
        if path == "/transaction/start":
            line = self._starts
        elif path == "/" and "X-transaction-id" not in (headers or {}):
            line = self._plain
        else:
            yield
            return
        try:
            async with asyncio.timeout(LINE_S):
                await line.acquire()
        except TimeoutError:
            raise errors.EngineConnectionError(f"the query waited {LINE_S:g} s for others and was not sent") from None
        try:
            yield
        finally:
            line.release()

    async def _answer_to(self, message: bytes) -> _Response:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._exchange(message)
        except TimeoutError:
            if self.process is not None:
                self.process.kill()
            raise errors.EngineConnectionError(f"the query engine did not answer within {ANSWER_S:g} s") from None

    async def _exchange(self, message: bytes) -> _Response:
        try:
            connection = self._idle.pop() if self._idle else await self._connection()
            reader, writer = connection
            try:
                writer.write(message)
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b"{}"
            except BaseException:
                # Also when cancelled: the answer is still to come, so this connection may never be used again.
                writer.close()
                raise
        except (asyncio.IncompleteReadError, OSError) as exc:
            await self._watch_it_end()
            raise errors.EngineConnectionError("the query engine ended during a query") from exc
        self._idle.append(connection)
        return _Response(int(head[9:12]), body)

    async def _watch_it_end(self) -> None:
        """Wait briefly until the end of a killed engine is visible, so that the next query restarts it."""
        for _ in range(round(DYING_S / 0.01)):
            if not self._alive():
                return
            await asyncio.sleep(0.01)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self._folder / "engine"))

    def close(self, *, timeout: timedelta | None = None) -> None:
        """Stop the engine. Idempotent."""
        self._open = False
        self._stop()

    def _stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._drop()

    async def aclose(self, *, timeout: timedelta | None = None) -> None:
        """Stop the engine without blocking the event loop."""
        for _, writer in self._idle:
            writer.close()
        self._idle = []
        await asyncio.to_thread(self.close)

    def _drop(self) -> None:
        idle, self._idle = self._idle, []
        for _, writer in idle:
            with contextlib.suppress(RuntimeError):  # the loop may already be closed at interpreter exit
                writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class _SocketClient(Prisma):
    def _create_engine(self, dml_path: Path | None = None) -> Any:
        return SocketEngine(dml_path=dml_path or self._packaged_schema_path, log_queries=self._log_queries)


class _NativeClient(Prisma):
    def _create_engine(self, dml_path: Path | None = None) -> Any:
        return NativeEngine(dml_path=dml_path or self._packaged_schema_path, http_config=self._http_config)


class _RemoteClient(Prisma):
    engine_url: str

    def _create_engine(self, dml_path: Path | None = None) -> Any:
        engine = RemoteEngine(dml_path=dml_path or self._packaged_schema_path, http_config=self._http_config)
        engine.engine_url = self.engine_url
        return engine

    def _copy(self) -> Any:
        copy = super()._copy()
        copy.engine_url = self.engine_url
        return copy
