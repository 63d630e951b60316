"""A gate with API keys, presets and credits, and dialects below its mount; ``CALLBACK_CA`` lets it call loopback."""

from __future__ import annotations

import os
from datetime import timedelta

from mediagate import MODERATOR, MediaGate, Settings, Source
from mediagate_plugins.api_keys import api_keys
from mediagate_plugins.dialects.pictory import pictory
from mediagate_plugins.dialects.productai import productai
from mediagate_plugins.pipelines import Preset, pipelines
from mediagate_plugins.webhooks import Callbacks, webhooks
from tests.support.moderators import Scripted
from tests.support.receiver import SECRET

HOST = "localhost"
"""Where callbacks may go."""

work = Source(visibility="private", ttl=timedelta(hours=1), reject={"NUDE": 0.5}, formats=("jpeg", "png"))
settings = Settings(public_base_url=os.environ.get("PUBLIC_BASE_URL", "https://gate.example"))
gate = MediaGate(sources={"work": work}, settings=settings, credits={"resize": 5})
gate.decorate(MODERATOR, Scripted())
gate.register(api_keys)
gate.register(
    pipelines,
    presets={
        "nanobanana2": Preset(
            steps=[
                {"op": "resize", "width": 48},
                {"op": "save", "as": "large", "format": "jpeg"},
                {"op": "resize", "width": 24},
                {"op": "save", "as": "small", "format": "png"},
            ]
        )
    },
)
if "CALLBACK_CA" in os.environ:
    callbacks = Callbacks([SECRET], hosts=[HOST], private_networks=["127.0.0.0/8", "::1/128"])
    gate.register(webhooks, callbacks=callbacks, ca_file=os.environ["CALLBACK_CA"])
gate.register(productai)
gate.register(pictory)
