"""The command ``mediagate``: serve, worker, migrate, doctor, janitor, adopt, retry, and what plugins bring.

A plugin brings a ``typer.Typer`` as an entry point of the group ``mediagate.commands``; its name is the command's.
Each command imports what it needs itself: only ``doctor`` looks at codecs, and only ``serve`` serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mediagate.errors import MediagateError, RequestError
from mediagate.forkserver import ForkServer
from mediagate.logs import LogFormat, configure

if TYPE_CHECKING:
    from mediagate.app import MediaGate

STANDALONE = "mediagate_plugins.standalone:gate"
"""The gate that runs when none is named: sources ``avatar`` and ``post``, NudeNet, and the demo page."""

COMMANDS = "mediagate.commands"
"""The group of entry points under which plugins bring their commands."""
OWN = ("serve", "worker", "migrate", "doctor", "janitor", "adopt", "retry")
"""The core's own commands, for which no plugin is loaded."""

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Gate = Annotated[str, typer.Argument(help="Your gate as module:attribute.", envvar="MEDIAGATE_GATE", metavar="GATE")]


@cli.callback(help=__doc__)
def options(
    log: Annotated[LogFormat, typer.Option(envvar="MEDIAGATE_LOG", help="How log lines look.")] = LogFormat.TEXT,
) -> None:
    """Take what all commands have in common."""
    configure(log)


@cli.command()
def serve(
    gate: Gate = STANDALONE,
    host: Annotated[str, typer.Option(envvar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", help="Port to listen on.")] = 8000,
    mount: Annotated[str, typer.Option(help="Path under which the gate answers.")] = "/image-pipeline",
    worker: Annotated[bool, typer.Option(help="Also work on jobs in this process.")] = True,
    http: Annotated[str, typer.Option(help="HTTP parser: auto, h11 or httptools.")] = "auto",
    max_connections: Annotated[int | None, typer.Option(min=1, help="Default: by `ulimit -n`.")] = None,
    head_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a request's line and headers take.")] = 10,
    forwarded_allow_ips: Annotated[
        str, typer.Option(envvar="FORWARDED_ALLOW_IPS", help="Proxies whose X-Forwarded-For is believed, * for all.")
    ] = "",
) -> None:
    """Serve a gate over HTTP, and work on its jobs."""
    with _without_collecting():
        loaded = _load_and_fork(gate)
        from mediagate.server import serve as run
    if not worker:
        loaded.settings = loaded.settings.model_copy(update={"worker": False})
    typer.echo(f"mediagate: http://{host}:{port}{mount}/")
    try:
        started = run(
            loaded,
            host=host,
            port=port,
            mount=mount,
            http=http,
            max_connections=max_connections,
            head_timeout_s=head_timeout,
            forwarded_allow_ips=forwarded_allow_ips,
        )
    except MediagateError as exc:
        quit_with(exc.detail)
    if not started:
        raise typer.Exit(1)


@cli.command()
def worker(
    gate: Gate = STANDALONE,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Answer /healthz, /readyz and /metrics on this port.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address of that port.")] = "127.0.0.1",
) -> None:
    """Work on a gate's jobs without taking uploads, until SIGTERM or Ctrl-C."""
    with _without_collecting():
        loaded = _load_and_fork(gate)
    loaded.settings = loaded.settings.model_copy(update={"worker": True})

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with loaded, contextlib.AsyncExitStack() as stack:
            if port is not None:
                from mediagate.server import monitored

                await stack.enter_async_context(monitored(loaded, host=host, port=port))
            typer.echo("mediagate: working")
            await stop.wait()

    run_async(run())


@cli.command()
def migrate() -> None:
    """Apply the migrations that the database named by MEDIAGATE_DATABASE_URL lacks."""

    from mediagate.config import Settings
    from mediagate.records.migrate import migrate as apply

    async def run() -> None:
        applied = await apply(Settings().records_url)
        typer.echo("\n".join(f"applied {name}" for name in applied) or "nothing to apply")

    run_async(run())


@cli.command()
def doctor(gate: Gate = STANDALONE) -> None:
    """Check database, storage, model, codecs and Node; exit 1 if something needs doing."""
    from mediagate.doctor import examine

    loaded = load_gate(gate)
    healthy = True

    async def run() -> None:
        nonlocal healthy
        async for finding in examine(loaded):
            healthy &= finding.ok
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.part:<15} {finding.text}")

    run_async(run())
    if not healthy:
        raise typer.Exit(1)


@cli.command()
def janitor(
    gate: Gate = STANDALONE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed.")] = False,
    really: Annotated[
        int | None, typer.Option(min=1, help="Remove up to so many files, whatever speaks against it.")
    ] = None,
) -> None:
    """Finish what crashes left behind, and remove what has expired and files that no record names.

    Exits with 1, and removes no files, where the database may not be the one that knows them, or not all of it.
    """
    from mediagate.upkeep import sweep

    loaded = load_gate(gate)
    loaded.settings = loaded.settings.model_copy(update={"worker": False})

    async def run() -> None:
        async with loaded:
            async for line in sweep(loaded, dry_run=dry_run, really=really):
                typer.echo(line)

    run_async(run())


@cli.command()
def adopt(gate: Gate = STANDALONE) -> None:
    """Make the files in the storage those of the gate's database, after an intended restore or move."""
    from mediagate.upkeep import adopted

    loaded = load_gate(gate)

    async def run() -> None:
        typer.echo(await adopted(loaded))

    run_async(run())


@cli.command()
def retry(
    gate: Gate = STANDALONE,
    job: Annotated[list[str] | None, typer.Option(help="A FAILED job; repeat it for more.")] = None,
    code: Annotated[
        str | None,
        typer.Option(help="All that FAILED with this code, such as storage_unavailable."),
    ] = None,
) -> None:
    """Try FAILED jobs again, with all their attempts; exit 1 if one of them cannot be."""
    if (job is None) is (code is None):
        quit_with("say which jobs: --job, or --code for all that failed with it")
    loaded = load_gate(gate)
    loaded.settings = loaded.settings.model_copy(update={"worker": False})
    refused = 0

    async def run() -> None:
        nonlocal refused
        async with loaded:
            for job_id in job or [failed async for failed in _failed_with(loaded, code)]:
                try:
                    await loaded.retry(job_id)
                except RequestError as exc:
                    refused += 1
                    typer.echo(exc.detail, err=True)
                else:
                    typer.echo(f"{job_id} is tried again")

    run_async(run())
    if refused:
        raise typer.Exit(1)


async def _failed_with(gate: MediaGate, code: str | None) -> AsyncIterator[str]:
    from mediagate.media import JobStatus

    cursor = None
    while True:
        page = await gate.list_jobs(status=JobStatus.FAILED, limit=100, cursor=cursor)
        for status in page.items:
            if status.job.code == code and status.job.retryable:
                yield status.job_id
        cursor = page.next_cursor
        if cursor is None:
            return


def main() -> None:
    """Run the command line."""
    words = sys.argv[3:] if sys.argv[1:2] == ["--log"] else [w for w in sys.argv[1:] if not w.startswith("--log=")]
    if not set(words[:1]) & set(OWN):
        for brought in entry_points(group=COMMANDS):
            cli.add_typer(brought.load(), name=brought.name)
    cli()


@contextlib.contextmanager
def _without_collecting() -> Iterator[None]:
    """Import without looking for garbage: nothing that is imported is, and the looking took a seventh of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def load_gate(path: str) -> MediaGate:
    """Return the gate named as ``module:attribute``; ends the command with a message if there is none."""
    from mediagate.app import MediaGate

    module, _, attribute = path.partition(":")
    _find_modules_here()
    try:
        gate = getattr(importlib.import_module(module), attribute or "gate")
    except (ImportError, AttributeError) as exc:
        quit_with(f"cannot load {path!r}: {exc}; name your gate as module:attribute")
    except MediagateError as exc:
        quit_with(exc.detail)
    if not isinstance(gate, MediaGate):
        quit_with(f"{path!r} is no MediaGate but {gate!r}")
    return gate


def _find_modules_here() -> None:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def _load_and_fork(path: str) -> MediaGate:
    """Load a gate while the fork server of its image processes starts on another core."""
    _find_modules_here()  # both of them
    server = ForkServer()
    server.start()
    gate = load_gate(path)
    gate.fork_server = server
    return gate


def run_async(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a command's coroutine; an error of mediagate ends the command with its message."""
    try:
        asyncio.run(coroutine)
    except MediagateError as exc:
        quit_with(exc.detail)


def quit_with(message: str) -> NoReturn:
    """End the command with a message and exit code 1."""
    typer.echo(f"mediagate: {message}", err=True)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
