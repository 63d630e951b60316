"""A Starlette app with mediagate mounted: ``uvicorn examples.starlette_app:app``."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from mediagate import JobState, MediaGate, Source
from mediagate_plugins.open_nsfw import open_nsfw

gate = MediaGate(sources={"avatar": Source(reject={"explicit": 0.5})})
gate.register(open_nsfw)
avatars: dict[str, str] = {}


async def remember(state: JobState) -> None:
    """Point the user's profile at the new picture only now that it has passed."""
    avatars[state.job.source_id] = state.job.id


gate.add_hook("on_complete", remember)


async def profile(request: Request) -> JSONResponse:
    user = request.path_params["user"]
    if user not in avatars:
        return JSONResponse({"user": user, "avatar": None})
    status = await gate.get_status(avatars[user], base_url=request.scope["root_path"] + "/image-pipeline")
    return JSONResponse({"user": user, "avatar": status.media.urls["sm"] if status.media else None})


app = Starlette(routes=[Route("/users/{user}", profile), Mount("/image-pipeline", gate)], lifespan=gate.lifespan)
