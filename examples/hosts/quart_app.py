"""mediagate beside a Quart app: ``hypercorn examples.hosts.quart_app:application``."""

from collections.abc import AsyncIterator

from quart import Quart
from starlette.routing import Mount, Router
from starlette.types import Receive, Scope, Send

from mediagate import MediaGate, Source

gate = MediaGate(sources={"avatar": Source()}, moderation="off")
app = Quart(__name__)
router = Router([Mount("/media", gate)], default=app)


@app.get("/hello")
async def hello() -> str:
    return "hello"


@app.while_serving
async def opened() -> AsyncIterator[None]:
    async with gate:
        yield


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await (app if scope["type"] == "lifespan" else router)(scope, receive, send)
