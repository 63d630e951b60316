"""The commands ``mediagate moderation …``: judge published pictures again, and decide what waits for a person."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from mediagate.cli.loading import STANDALONE, Gate, load_gate, quit_with, run_async
from mediagate.errors import RequestError
from mediagate.values import Rejudgement, Rejudging, utcnow

if TYPE_CHECKING:
    from mediagate.gate import MediaGate

commands = typer.Typer(no_args_is_help=True, help="Judge published pictures again.")

ASK_S = 1.0
STALLED_S = 30.0
"""After this time without progress the command asks whether a worker runs."""
CLEAR = "\r\x1b[K"
Source = Annotated[str | None, typer.Option("--source", help="Source type; all if omitted.")]


@commands.command()
def rejudge(
    gate: Gate = STANDALONE,
    source: Source = None,
    action: Annotated[
        str, typer.Option(help="What to do with pictures that would be rejected today: list, review or reject.")
    ] = "list",
    model: Annotated[str | None, typer.Option(help="Judge with this moderator only, by its name.")] = None,
    outdated: Annotated[
        bool, typer.Option("--outdated", help="Leave out pictures that the models of today have judged.")
    ] = False,
    rate: Annotated[int, typer.Option(help="Pictures per minute and source at most.")] = 120,
) -> None:
    """Judge published pictures again by today's models and thresholds; run it again to continue.

    The workers judge, while no upload waits; the command waits for them and prints what falls. Exits with 1 if a
    picture could not be judged.
    """
    loaded = load_gate(gate)
    loaded.use(worker=False)
    failed = 0

    async def run() -> None:
        nonlocal failed
        async with loaded:
            begun = await loaded.rejudge(source, action=action, moderator=model, outdated=outdated, rate=rate)
            for rejudging in await _until_done(loaded, [one.id for one in begun]):
                async for one in _results(loaded, rejudging_id=rejudging.id):
                    typer.echo(_line(one))
                typer.echo(_summary(rejudging))
                failed += rejudging.failed
                await loaded.close_rejudging(rejudging.id)

    run_async(run())
    if failed:
        raise typer.Exit(1)


@commands.command()
def stop(gate: Gate = STANDALONE, source: Source = None) -> None:
    """Stop judging again; what has been taken down stays down."""
    loaded = load_gate(gate)
    loaded.use(worker=False)

    async def run() -> None:
        async with loaded:
            for rejudging in await loaded.get_rejudgings():
                if source in (None, rejudging.source_type):
                    await loaded.close_rejudging(rejudging.id)
                    typer.echo(f"stopped: {_summary(rejudging)}")

    run_async(run())


@commands.command("list")
def list_results(
    gate: Gate = STANDALONE,
    status: Annotated[str, typer.Option(help="REVIEW, FELL, REJECTED, KEPT or FAILED.")] = "REVIEW",
) -> None:
    """List results of judging again, by default the pictures that wait for a decision."""
    loaded = load_gate(gate)
    loaded.use(worker=False)

    async def run() -> None:
        async with loaded:
            async for one in _results(loaded, status=status.upper()):
                typer.echo(_line(one))

    run_async(run())


@commands.command()
def decide(
    gate: Gate = STANDALONE,
    job: Annotated[list[str] | None, typer.Option(help="Id of a job in `list`; repeatable.")] = None,
    keep: Annotated[bool | None, typer.Option("--keep/--reject", help="Keep the pictures, or take them down.")] = None,
) -> None:
    """Decide about pictures that wait for a person; exit with 1 if one of them does not wait."""
    if not job or keep is None:
        quit_with("nothing to decide; use --job, and either --keep or --reject")
    loaded = load_gate(gate)
    loaded.use(worker=False)
    refused = 0

    async def run() -> None:
        nonlocal refused
        async with loaded:
            for job_id in job:
                try:
                    typer.echo(f"{job_id}: {await loaded.decide(job_id, 'keep' if keep else 'reject')}")
                except RequestError as exc:
                    refused += 1
                    typer.echo(exc.detail, err=True)

    run_async(run())
    if refused:
        raise typer.Exit(1)


async def _until_done(gate: MediaGate, ids: list[str]) -> list[Rejudging]:
    """Wait until the workers have ended these passes, and show their progress on a terminal."""
    shown = sys.stderr.isatty()
    before, moved_at = None, time.monotonic()
    while True:
        found = list(await gate.get_rejudgings(*ids))
        if shown:
            line = "; ".join(map(_summary, found))
            typer.echo(f"{CLEAR}{line}", err=True, nl=False)
        if all(rejudging.done for rejudging in found):
            if shown:
                typer.echo(CLEAR, err=True, nl=False)
            return found
        now = [(rejudging.claims, rejudging.judged) for rejudging in found]
        # A pass may wait for a minute by its rate, and while the storage or the moderation service is unavailable.
        waits = any(rejudging.next_at > utcnow() for rejudging in found if not rejudging.done)
        if now != before or waits:
            before, moved_at = now, time.monotonic()
        elif time.monotonic() - moved_at > STALLED_S:
            typer.echo("mediagate: no progress; workers judge while no upload waits: does one run?", err=True)
            moved_at = time.monotonic()
        await asyncio.sleep(ASK_S)


async def _results(
    gate: MediaGate, *, status: str | None = None, rejudging_id: str | None = None
) -> AsyncIterator[Rejudgement]:
    after = ""
    while page := await gate.list_rejudgements(status=status, rejudging_id=rejudging_id, after=after):
        for one in page:
            yield one
        after = page[-1].id


def _line(one: Rejudgement) -> str:
    if one.verdict is None:
        return f"{one.status} {one.job_id}: {one.code}: {one.error}"
    verdict = one.verdict
    flags = ", ".join(verdict.flags)
    return f"{one.status} {one.job_id}: {verdict.decision}, {flags} {verdict.confidence:.2f} ({verdict.model})"


def _summary(rejudging: Rejudging) -> str:
    parts = [f"{rejudging.judged:,} judged", f"{rejudging.passed:,} passed", f"{rejudging.fell:,} fell"]
    for count, name in (
        (rejudging.failed, "failed"),
        (rejudging.gone, "were deleted meanwhile"),
        (rejudging.current, "left out"),
    ):
        parts += [f"{count:,} {name}"] if count else []
    return f"{rejudging.source_type}: {', '.join(parts)}"
