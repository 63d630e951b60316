"""mediagate beside a Django site: ``daphne examples.hosts.django_site.asgi:application``."""

import os

from django.core.asgi import get_asgi_application
from starlette.routing import Mount, Router

from mediagate import MediaGate, Source

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.hosts.django_site.settings")

gate = MediaGate(sources={"avatar": Source()}, moderation="off")

application = Router([Mount("/media", gate)], default=get_asgi_application(), lifespan=gate.lifespan)
