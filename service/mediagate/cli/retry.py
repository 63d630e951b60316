"""The command ``retry``, for FAILED jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from mediagate.cli.loading import STANDALONE, Gate, load_gate, quit_with, run_async
from mediagate.errors import MediagateError, RequestError

if TYPE_CHECKING:
    from mediagate.gate import MediaGate


def retry(
    gate: Gate = STANDALONE,
    job: Annotated[list[str] | None, typer.Option(help="Id of a FAILED job; repeatable.")] = None,
    code: Annotated[
        str | None,
        typer.Option(help="All jobs that FAILED with this code, such as storage_unavailable."),
    ] = None,
) -> None:
    """Retry FAILED jobs, with all their attempts; exit with 1 if one of them cannot be retried."""
    if (job is None) is (code is None):
        quit_with("no jobs selected; use either --job, or --code for all jobs that failed with a code")
    if code is not None and code not in (known := _codes(MediagateError)):
        nearest = get_close_matches(code, known, n=1)
        advice = f"did you mean {nearest[0]}?" if nearest else 'all codes are on the page "Errors" of the documentation'
        quit_with(f"unknown code {code!r}; {advice}")
    loaded = load_gate(gate)
    loaded.use(worker=False)
    refused = 0

    async def run() -> None:
        nonlocal refused
        async with loaded:
            jobs = job or [failed async for failed in _failed_with(loaded, code)]
            if not jobs:
                typer.echo(f"no retryable FAILED job has the code {code}")
            for job_id in jobs:
                try:
                    await loaded.retry(job_id)
                except RequestError as exc:
                    refused += 1
                    typer.echo(exc.detail, err=True)
                else:
                    typer.echo(f"{job_id}: queued for a retry")

    run_async(run())
    if refused:
        raise typer.Exit(1)


def _codes(kind: type[MediagateError]) -> set[str]:
    """Return the codes of failed jobs: those of the errors, and the one of jobs that killed all their workers."""
    return {kind.code, "attempts_exhausted"}.union(*map(_codes, kind.__subclasses__()))


async def _failed_with(gate: MediaGate, code: str | None) -> AsyncIterator[str]:
    from mediagate.values import JobStatus

    cursor = None
    while True:
        page = await gate.list_jobs(status=JobStatus.FAILED, limit=100, cursor=cursor)
        for status in page.items:
            if status.job.code == code and status.job.retryable:
                yield status.job_id
        cursor = page.next_cursor
        if cursor is None:
            return
