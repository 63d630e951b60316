"""The gate of ``private_gate``, which works on no job while the file ``hold`` exists in the data folder."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from private_gate import gate

from mediagate import Job

HOLD = Path(os.environ.get("MEDIAGATE_DATA_DIR", ".mediagate")) / "hold"


def until_let_go() -> None:
    while HOLD.exists():
        time.sleep(0.05)


async def hold(job: Job) -> None:
    await asyncio.to_thread(until_let_go)


gate.add_hook("pre_process", hold)
