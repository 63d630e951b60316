"""mediagate in a Litestar app: ``granian --interface asgi examples.hosts.litestar_app:app``."""

from typing import Any

from litestar import Litestar, asgi

from mediagate import MediaGate, Source

gate = MediaGate(sources={"avatar": Source()}, moderation="off")


@asgi("/media", is_mount=True, copy_scope=True)
async def media(scope: Any, receive: Any, send: Any) -> None:
    await gate(scope, receive, send)


app = Litestar([media], lifespan=[gate.lifespan])
