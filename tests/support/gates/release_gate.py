"""A gate that two releases load beside each other: it uses what only the later one knows if that is there.

Each process has a name, ``MEDIAGATE_TEST_NAME``, under which it notes the jobs that it begins and ends. A picture of
the source id ``held`` waits for the file ``go``.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from mediagate import Job, JobState, MediaGate, Settings, Source, VariantSpec

NAME = os.environ.get("MEDIAGATE_TEST_NAME", "")
settings = Settings()
data_dir = Path(settings.data_dir)
further: dict[str, Any] = {"formats": ("webp", "jpeg")} if "formats" in VariantSpec.model_fields else {}
small = {"xs": VariantSpec(width=64, **further)}
gate = MediaGate(
    sources={"avatar": Source(variants=small), "document": Source(variants=small, visibility="private")},
    settings=settings,
    moderation="off",
)


def note(file: str, *words: str) -> None:
    with (data_dir / file).open("a") as notes:
        notes.write(f"{NAME} {' '.join(words)}\n")


async def begins(job: Job) -> None:
    note("begun", job.id, job.source_id)
    # Another process makes the file; a thread that waits for it would keep a process that is to end.
    while job.source_id == "held" and not (data_dir / "go").exists():  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def ends(state: JobState) -> None:
    note("ended", state.job.id, str(state.job.status))


gate.add_hook("pre_process", begins)
gate.add_hook("on_end", ends)
