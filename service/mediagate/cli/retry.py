"""The command ``retry``: FAILED jobs, tried again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from mediagate.cli.loading import STANDALONE, Gate, load_gate, quit_with, run_async
from mediagate.errors import RequestError

if TYPE_CHECKING:
    from mediagate.app import MediaGate


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
