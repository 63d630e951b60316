"""The plain gate with API keys."""

from mediagate import MediaGate, Source
from mediagate_plugins.api_keys import api_keys

gate = MediaGate(sources={"avatar": Source()}, moderation="off")
gate.register(api_keys, cache_s=1)
