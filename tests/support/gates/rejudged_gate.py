"""A gate with a small real model, which ``MEDIAGATE_TEST_MODEL`` names, and its threshold for red.

``CRASH_AT`` is that of ``tests.support.mortal``, for the storage and the re-judgements. The ends of jobs and
deleted media are noted in the file ``told``.
"""

from __future__ import annotations

import os
from pathlib import Path

from mediagate import RECORDS, STORAGE, JobState, Media, MediaGate, Settings, Source
from mediagate.jobs import worker
from mediagate.records import PrismaRecords
from mediagate.storage import FilesystemStorage
from mediagate_plugins.onnx_moderation import onnx_moderation
from tests.support.channel_model import LABELS
from tests.support.mortal import Mortal

worker.LOOK_S = 0.1
settings = Settings()
data_dir = Path(settings.data_dir)
gate = MediaGate(
    sources={"avatar": Source(reject={"red": float(os.environ.get("MEDIAGATE_TEST_RED", "0.5"))})}, settings=settings
)
gate.register(onnx_moderation, name="colours", model=os.environ["MEDIAGATE_TEST_MODEL"], labels=LABELS)
records = PrismaRecords(settings.records_url, migrate=True)
vars(records)["rejudgements"] = Mortal("rejudgements", records.rejudgements)
gate.decorate(RECORDS, records)
gate.decorate(STORAGE, Mortal("storage", FilesystemStorage(data_dir / "files")))


def note(*words: str) -> None:
    with (data_dir / "told").open("a") as file:
        file.write(f"{' '.join(words)}\n")


async def ends(state: JobState) -> None:
    note(state.job.id, str(state.job.status))


async def deleted(media: Media) -> None:
    note(media.job_id, "deleted")


gate.add_hook("on_end", ends)
gate.add_hook("on_deleted", deleted)
