"""The gate that a folder of pictures is sent to; the options of its source are in CORPUS_SOURCE, as JSON."""

import os

from mediagate import MediaGate, Source

gate = MediaGate(
    sources={"avatar": Source.model_validate_json(os.environ.get("CORPUS_SOURCE", "{}"))}, moderation="off"
)
