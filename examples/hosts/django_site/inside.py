"""mediagate and a Django site in a Starlette app: ``uvicorn examples.hosts.django_site.inside:app``."""

import os

from django.core.asgi import get_asgi_application
from starlette.applications import Starlette
from starlette.routing import Mount

from mediagate import MediaGate, Source

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.hosts.django_site.settings")

gate = MediaGate(sources={"avatar": Source()}, moderation="off")

app = Starlette(routes=[Mount("/media", gate), Mount("/", get_asgi_application())], lifespan=gate.lifespan)
