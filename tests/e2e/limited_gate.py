"""A gate with the limits of ``RATE_LIMIT`` (JSON), whose jobs a test can hold and whose process one can kill.

While ``hold`` exists in the data folder no job begins; a job that finds ``die`` there kills its process (SIGKILL).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

from mediagate import Job, MediaGate, Settings, Source, VariantSpec
from mediagate_plugins.rate_limit import rate_limit

settings = Settings()
small = Source(variants={"xs": VariantSpec(width=16)})
gate = MediaGate(sources={"avatar": small, "post": small, "free": small}, moderation="off", settings=settings)
gate.register(rate_limit, **json.loads(os.environ["RATE_LIMIT"]))


async def held(job: Job) -> None:
    die = Path(settings.data_dir) / "die"
    if die.exists():
        die.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    while (Path(settings.data_dir) / "hold").exists():  # noqa: ASYNC110  # another process removes it
        await asyncio.sleep(0.05)


gate.add_hook("pre_process", held)
