"""A FastAPI app that says itself which prefix its proxy strips."""

import warnings

from fastapi import FastAPI

from mediagate import MediaGate, Source

gate = MediaGate(sources={"avatar": Source()}, moderation="off")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer releases would have the server say it
    app = FastAPI(root_path="/api", lifespan=gate.lifespan)
app.mount("/media", gate)
