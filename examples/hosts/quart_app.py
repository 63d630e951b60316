"""mediagate beside a Quart app: ``hypercorn examples.hosts.quart_app:application``."""

from collections.abc import AsyncGenerator
from typing import Any, cast

from quart import Quart
from starlette.routing import Mount, Router
from starlette.types import ASGIApp

from mediagate import MediaGate, Source

gate = MediaGate(sources={"avatar": Source()}, moderation="off")

app = Quart(__name__)
router = Router([Mount("/media", gate)], default=cast(ASGIApp, app))


@app.get("/hello")
async def hello() -> str:
    return "hello"


@app.while_serving
async def opened() -> AsyncGenerator[None, None]:
    async with gate:
        yield


async def application(scope: Any, receive: Any, send: Any) -> None:
    await (app if scope["type"] == "lifespan" else router)(scope, receive, send)
