"""A gate on the real embedded parts, each call of which can be where the process dies.

``CRASH_AT=records.settle:before`` kills the process (SIGKILL, by itself) when that method is called,
``…:after`` when it has returned; ``…:after:2`` at the second call. ``CRASH_BY=SIGSTOP`` stops it instead.
``RECEIVING_S`` is how long a name stays held for a process that died while it received a body.
"""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any, cast

from mediagate import QUEUE, RECORDS, STORAGE, JobState, MediaGate, Settings, Source
from mediagate.kernel import HookName
from mediagate.queue import InProcessQueue
from mediagate.records import PrismaRecords
from mediagate.records import locks as reservation
from mediagate.storage import MARK_KEY as KEY
from mediagate.storage import FilesystemStorage

POINT, _, _MOMENT = os.environ.get("CRASH_AT", "").partition(":")
WHEN, _, _COUNT = _MOMENT.partition(":")
countdown = itertools.count(int(_COUNT or 1), -1)


def die() -> None:
    os.kill(os.getpid(), signal.Signals[os.environ.get("CRASH_BY", "SIGKILL")])


class Mortal:
    """Passes every call on to a real part, and dies at the chosen one."""

    def __init__(self, name: str, part: Any) -> None:
        self._name = name
        self._part = part

    def __getattr__(self, method: str) -> Any:
        target = getattr(self._part, method)
        if f"{self._name}.{method}" != POINT:
            return target

        async def call(*args: Any, **kwargs: Any) -> Any:
            if KEY in args:  # not a step of an upload
                return await target(*args, **kwargs)
            now = next(countdown) == 1
            if now and WHEN == "before":
                die()
            result = await target(*args, **kwargs)
            if now and WHEN == "after":
                die()
            return result

        return call


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
