"""The demo page on the real model, with a policy that rejects faces and a source that takes small files only."""

from mediagate import MediaGate, Source
from mediagate_plugins.api_keys import api_keys
from mediagate_plugins.demo_page import demo_page
from mediagate_plugins.nudenet import nudenet

gate = MediaGate(
    sources={
        "avatar": Source(reject={"FACE_FEMALE": 0.5}),
        "post": Source(reject={"explicit": 0.6}, max_bytes=50_000),
    }
)
gate.register(nudenet)
gate.register(demo_page, scores=True)

deeper = MediaGate(sources={"post": Source()}, moderation="off")
deeper.register(demo_page, path="/deeper/down/", image_origins=["https://cdn.example"])

keyed = MediaGate(sources={"post": Source(), "sealed": Source(visibility="private")}, moderation="off")
keyed.register(api_keys)
keyed.register(demo_page)
