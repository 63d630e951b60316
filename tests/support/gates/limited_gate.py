"""A gate with the limits of ``RATE_LIMIT`` (JSON), whose jobs wait while the file ``hold`` is in the data folder."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

from mediagate import Job, MediaGate, Settings, Source, VariantSpec
from mediagate_plugins.rate_limit import rate_limit

settings = Settings()
small = Source(variants={"xs": VariantSpec(width=16)})
gate = MediaGate(sources={"avatar": small, "post": small, "free": small}, moderation="off", settings=settings)
gate.register(rate_limit, **json.loads(os.environ["RATE_LIMIT"]))


def until_let_go() -> None:
    """Wait until another process removes the file."""
    while (Path(settings.data_dir) / "hold").exists():
        time.sleep(0.05)


async def held(job: Job) -> None:
    await asyncio.to_thread(until_let_go)


gate.add_hook("pre_process", held)
