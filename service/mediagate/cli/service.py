"""The commands that run until a signal: ``serve`` and ``worker``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Annotated

import typer

from mediagate.cli.loading import STANDALONE, Gate, load_and_fork, quit_with, run_async, without_collecting
from mediagate.errors import MediagateError


def serve(
    gate: Gate = STANDALONE,
    host: Annotated[str, typer.Option(envvar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=1, max=65535, help="Port to listen on.")] = 8000,
    mount: Annotated[str, typer.Option(help="Path under which the gate is mounted.")] = "/image-pipeline",
    worker: Annotated[bool, typer.Option(help="Also process jobs in this process.")] = True,
    http: Annotated[str, typer.Option(help="HTTP parser: auto, h11 or httptools.")] = "auto",
    max_connections: Annotated[int | None, typer.Option(min=1, help="Default: from `ulimit -n`.")] = None,
    head_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for a request's line and headers.")] = 10,
    cors_origins: Annotated[
        str, typer.Option(envvar="CORS_ORIGINS", help="Origins of pages that may use the gate, * for all.")
    ] = "",
    cors_credentials: Annotated[
        bool, typer.Option(envvar="CORS_CREDENTIALS", help="Let these origins send cookies; not with *.")
    ] = False,
    drain_delay: Annotated[
        float, typer.Option(min=0, help="Seconds after SIGTERM during which only /readyz reports the shutdown.")
    ] = 0,
    forwarded_allow_ips: Annotated[
        str, typer.Option(envvar="FORWARDED_ALLOW_IPS", help="Proxies whose X-Forwarded-For is trusted, * for all.")
    ] = "",
) -> None:
    """Serve a gate over HTTP and process its jobs."""
    with without_collecting():
        loaded = load_and_fork(gate)
        from mediagate.cli.server import serve as run
    if not worker:
        loaded.use(worker=False)
    name = f"[{host}]" if ":" in host else host
    try:
        run(
            loaded,
            host=host,
            port=port,
            mount=mount,
            http=http,
            max_connections=max_connections,
            head_timeout_s=head_timeout,
            forwarded_allow_ips=forwarded_allow_ips,
            cors_origins=cors_origins,
            cors_credentials=cors_credentials,
            drain_delay_s=drain_delay,
            listens=lambda: typer.echo(f"mediagate: http://{name}:{port}{mount}/"),
        )
    except MediagateError as exc:
        quit_with(exc.detail)


def worker(
    gate: Gate = STANDALONE,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Answer /healthz, /readyz and /metrics on this port.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on with --port.")] = "127.0.0.1",
) -> None:
    """Process a gate's jobs without accepting uploads, until SIGTERM or Ctrl-C."""
    with without_collecting():
        loaded = load_and_fork(gate)
        if port is not None:
            from mediagate.cli.server import monitored
            from mediagate.cli.server.listener import listening_on
    loaded.use(worker=True)

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with contextlib.AsyncExitStack() as stack:
            # Before the gate opens, so that an unavailable port is reported at once.
            listening = stack.enter_context(listening_on(host, port)) if port is not None else None
            await stack.enter_async_context(loaded)
            if listening is not None:
                await stack.enter_async_context(monitored(loaded, listening))
            typer.echo("mediagate: working")
            await stop.wait()

    run_async(run())
