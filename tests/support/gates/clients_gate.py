"""A gate that serves the pages of upload clients from the folder ``CLIENT_PAGES``.

Tests steer it by files in the data folder: ``busy`` lists the next refusals as JSON, [[end of the path, status], …];
while ``hold`` exists, no job is worked on. The gate notes each upload request in ``requests``: seconds and path.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from mediagate import MODERATOR, Job, MediaGate, Settings, Source, VariantSpec
from mediagate.errors import QueueFull, RateLimited
from tests.support.moderators import Scripted

PAGES = Path(os.environ["CLIENT_PAGES"])
settings = Settings()
data_dir = Path(settings.data_dir)
avatar = Source(variants={"sm": VariantSpec(width=64)}, reject={"explicit": 0.5})
gate = MediaGate(sources={"avatar": avatar}, settings=settings)
gate.decorate(MODERATOR, Scripted())


async def page(request: Request) -> Response:
    return FileResponse(PAGES / request.path_params["name"])


async def refuse(request: Request, _: object) -> None:
    path, busy = request.url.path, data_dir / "busy"
    with (data_dir / "requests").open("a") as notes:
        notes.write(f"{time.time()} {path}\n")
    refusals = json.loads(busy.read_text()) if busy.exists() else []
    if refusals and path.endswith(refusals[0][0]):
        busy.write_text(json.dumps(refusals[1:]))
        refusal = RateLimited if refusals[0][1] == 429 else QueueFull
        raise refusal("come back later", retry_after_s=1)


def until_let_go() -> None:
    while (data_dir / "hold").exists():
        time.sleep(0.05)


async def hold(job: Job) -> None:
    await asyncio.to_thread(until_let_go)


gate.add_route("/clients/{name}", page, methods=["GET"])
gate.add_hook("pre_receive", refuse)
gate.add_hook("pre_process", hold)
