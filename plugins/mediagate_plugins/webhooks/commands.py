"""``mediagate webhooks``: list deliveries, send events again, resume endpoints."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from mediagate import MediaGate
from mediagate.cli import STANDALONE, Gate, load_gate, quit_with, run_async
from mediagate.errors import PluginError
from mediagate_plugins.webhooks.admin import WEBHOOKS, Webhooks

commands = typer.Typer(no_args_is_help=True, help="List deliveries, send events again, resume endpoints.")


class _Status(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


Event = Annotated[str | None, typer.Option("--event", help="Only deliveries of this event, by its webhook-id.")]
Job = Annotated[str | None, typer.Option("--job", help="Only deliveries of this job.")]


@commands.command("list")
def list_(
    gate: Gate = STANDALONE,
    status: Annotated[_Status | None, typer.Option(help="Only deliveries with this status.")] = None,
    job: Job = None,
    event: Event = None,
    limit: Annotated[int, typer.Option(min=1, help="The most deliveries to print.")] = 50,
) -> None:
    """Print deliveries, newest event first, and the stopped endpoints."""
    loaded = _load(gate)

    async def run() -> None:
        async with loaded:
            webhooks = _webhooks(loaded)
            found = await webhooks.find(
                status=status.value if status else None, job_id=job, event_id=event, limit=limit
            )
            for d in found:
                when = f"{d.event.created_at:%Y-%m-%dT%H:%M:%SZ}"
                what = d.error or (f"answered {d.answer}" if d.answer else "not tried yet")
                typer.echo(
                    f"{when}  {d.event.id}  {d.event.type:<13}  {d.event.job_id}  {d.endpoint}  {d.status}"
                    f"  {d.attempts} attempts  {what}"
                )
            for endpoint, since in (await webhooks.stopped()).items():
                typer.echo(f"{endpoint}: stopped since {since:%Y-%m-%dT%H:%M:%SZ}, after it answered 410 Gone")

    run_async(run())


@commands.command()
def replay(
    gate: Gate = STANDALONE,
    event: Event = None,
    job: Job = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only dead deliveries.")] = False,
    since: Annotated[str | None, typer.Option(help="Only events since this time, such as 2026-01-31T12:00Z.")] = None,
) -> None:
    """Send events again, under the same ids; all given options must match."""
    moment = _moment(since) if since is not None else None
    loaded = _load(gate)

    async def run() -> None:
        async with loaded:
            replayed = await _webhooks(loaded).replay(event_id=event, job_id=job, dead=dead, since=moment)
            typer.echo(f"{replayed.deliveries} deliveries will be sent again")
            if replayed.stopped:
                typer.echo(f"{replayed.stopped} skipped: endpoint stopped; run `mediagate webhooks resume`")
            if replayed.unknown:
                typer.echo(f"{replayed.unknown} skipped: endpoint no longer configured")

    run_async(run())


@commands.command()
def resume(endpoint: Annotated[str, typer.Argument(help="The endpoint's name.")], gate: Gate = STANDALONE) -> None:
    """Resume an endpoint that was stopped because it answered 410 Gone."""
    loaded = _load(gate)

    async def run() -> None:
        async with loaded:
            resumed = await _webhooks(loaded).resume(endpoint)
            typer.echo(f"{endpoint} receives events again" if resumed else f"{endpoint} was not stopped")

    run_async(run())


def _load(path: str) -> MediaGate:
    loaded = load_gate(path)
    loaded.use(worker=False)
    return loaded


def _webhooks(gate: MediaGate) -> Webhooks:
    try:
        return gate[WEBHOOKS]
    except PluginError:
        quit_with("the gate has no webhooks; add gate.register(webhooks, …), or pass another gate")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        quit_with(f"--since {text!r}: write it as 2026-01-31T12:00Z")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
