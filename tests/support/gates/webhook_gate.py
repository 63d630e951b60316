"""The crashing gate, sending webhooks to ``WEBHOOK_URL``."""

from __future__ import annotations

import os

from crashing_gate import gate

from mediagate_plugins.webhooks import Endpoint, webhooks
from tests.support.receiver import SECRET

gate.settings = gate.settings.model_copy(update={"public_base_url": "https://gate.example"})
if "WEBHOOK_URL" in os.environ:
    endpoint = Endpoint(os.environ["WEBHOOK_URL"], [SECRET], insecure_http=True, private_networks=["127.0.0.0/8"])
    gate.register(webhooks, endpoints={"app": endpoint})
