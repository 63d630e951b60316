"""A FastAPI app with a lifespan of its own and mediagate mounted: ``uvicorn examples.fastapi_app:app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from mediagate import MediaGate, Source
from mediagate_plugins.open_nsfw import open_nsfw

gate = MediaGate(sources={"post": Source(reject={"explicit": 0.5}, animation="keep")})
gate.register(open_nsfw)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with gate.lifespan(app):
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/image-pipeline", gate)


@app.get("/posts/{post}/pictures")
async def pictures(post: str) -> list[dict[str, Any]]:
    page = await gate.list_media("post", post, base_url="/image-pipeline")
    return [media.to_json() for media in page.items]
