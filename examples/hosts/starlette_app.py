"""mediagate in a Starlette app: ``uvicorn examples.hosts.starlette_app:app``."""

from starlette.applications import Starlette
from starlette.routing import Mount

from mediagate import MediaGate, Source

gate = MediaGate(sources={"avatar": Source()}, moderation="off")

app = Starlette(routes=[Mount("/media", gate)], lifespan=gate.lifespan)
