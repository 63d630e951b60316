"""A gate with API keys and a limit on failures, whose trusted proxies are ``TRUSTED_PROXIES`` (separated by commas)."""

import os

from mediagate import MediaGate, Source
from mediagate_plugins.api_keys import api_keys
from mediagate_plugins.rate_limit import rate_limit

gate = MediaGate(sources={"avatar": Source()}, moderation="off")
gate.register(api_keys)
proxies = [proxy for proxy in os.environ.get("TRUSTED_PROXIES", "").split(",") if proxy]
gate.register(rate_limit, failures_per_address="5/hour", trusted_proxies=proxies)
