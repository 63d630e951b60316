"""A Starlette app that does not run the lifespan of its gate."""

from starlette.applications import Starlette
from starlette.routing import Mount

from mediagate import MediaGate, Source

gate = MediaGate(sources={"avatar": Source()}, moderation="off")

app = Starlette(routes=[Mount("/media", gate)])
