"""mediagate in a FastAPI app behind a proxy that strips ``/api``.

``uvicorn examples.hosts.fastapi_app:app --root-path /api``
"""

from fastapi import FastAPI

from mediagate import MediaGate, Source

gate = MediaGate(sources={"avatar": Source()}, moderation="off")

app = FastAPI(lifespan=gate.lifespan)
app.mount("/media", gate)
