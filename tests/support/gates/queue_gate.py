"""A gate with a queue, of either engine, as web and worker processes load it; the test says which in the environment.

A picture of the source id ``poison`` kills the process that works on it; one of ``held`` waits for the file ``go``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from mediagate import Job, JobState, MediaGate, Settings, Source, VariantSpec
from mediagate_plugins.celery_queue import celery_app
from mediagate_plugins.procrastinate_queue import procrastinate_app

ENGINE = os.environ["MEDIAGATE_TEST_ENGINE"]
QUEUE = os.environ["MEDIAGATE_TEST_QUEUE"]
BROKER = os.environ["MEDIAGATE_TEST_BROKER"]

settings = Settings()
data_dir = Path(settings.data_dir)
source = Source(variants={"xs": VariantSpec(width=64)}, original="delete")
gate = MediaGate(sources={"avatar": source}, moderation="off", settings=settings)
app = celery_app(gate, broker=BROKER, queue=QUEUE) if ENGINE == "celery" else procrastinate_app(gate, queue=QUEUE)


def note(file: str, line: str) -> None:
    with (data_dir / file).open("a") as notes:
        notes.write(f"{line}\n")


def until_told() -> None:
    """Wait until another process makes the file."""
    while not (data_dir / "go").exists():
        time.sleep(0.05)


async def meets(job: Job) -> None:
    if job.source_id == "poison":
        note("poisoned", job.id)
        os.kill(os.getpid(), signal.SIGKILL)
    if job.source_id == "held":
        note("held", str(os.getpid()))
        await asyncio.to_thread(until_told)


async def told(state: JobState) -> None:
    note("told", f"{state.job.id} {state.job.status}")


gate.add_hook("pre_process", meets)
gate.add_hook("on_complete", told)
gate.add_hook("on_failed", told)
