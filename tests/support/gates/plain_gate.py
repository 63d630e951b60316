"""A gate on the embedded defaults with moderation off: what most end-to-end tests run."""

from mediagate import MediaGate, Source

gate = MediaGate(sources={"avatar": Source(max_bytes=8_000_000), "post": Source(animation="keep")}, moderation="off")
