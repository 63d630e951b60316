"""A gate on the real embedded parts, each call of which can be where the process dies.

``CRASH_AT`` and ``CRASH_BY`` are those of ``tests.support.mortal``.
``RECEIVING_S`` is how long a name stays held for a process that died while it received a body.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from mediagate import QUEUE, RECORDS, STORAGE, JobState, MediaGate, Settings, Source
from mediagate.kernel import HookName
from mediagate.queue import InProcessQueue
from mediagate.records import PrismaRecords
from mediagate.records import locks as reservation
from mediagate.storage import FilesystemStorage
from tests.support.mortal import POINT, WHEN, Mortal, die

reservation.RECEIVING_S = float(os.environ.get("RECEIVING_S", reservation.RECEIVING_S))
if POINT not in ("", "hook"):
    InProcessQueue.poll_s = 3600.0  # so that it is the queue that brings the job
settings = Settings()
gate = MediaGate(sources={"avatar": Source()}, moderation="off", settings=settings)
gate.decorate(RECORDS, Mortal("records", PrismaRecords(settings.records_url, engine_url=None, migrate=True)))
gate.decorate(STORAGE, Mortal("storage", FilesystemStorage(Path(settings.data_dir) / "files")))
gate.decorate(QUEUE, Mortal("queue", InProcessQueue()))


async def told(state: JobState) -> None:
    with (Path(settings.data_dir) / "told").open("a") as file:
        file.write(f"{state.job.id} {state.job.status}\n")


async def dies(*_: object) -> None:
    die()


gate.add_hook("on_complete", told)
gate.add_hook("on_failed", told)
if POINT == "hook":
    gate.add_hook(cast(HookName, WHEN), dies)
