"""A gate with the dialect of ImagePipeline, keys, callbacks, and a moderator that decides by the picture's width.

``CA_FILE`` names the certificate authority of the receiver of callbacks, which is on loopback.
"""

from __future__ import annotations

import os
from datetime import timedelta

from mediagate import MODERATOR, MediaGate, Source
from mediagate_plugins.api_keys import api_keys
from mediagate_plugins.dialects.imagepipeline import imagepipeline
from mediagate_plugins.pipelines import Int, Preset, pipelines
from mediagate_plugins.webhooks import Callbacks, webhooks
from tests.support.moderators import Scripted
from tests.support.receiver import SECRET

PRESET = Preset(
    steps=[{"op": "resize", "width": {"$param": "width"}}, {"op": "save", "format": "webp"}],
    params={"width": Int(1, 2000, default=400)},
)

gate = MediaGate(
    sources={"work": Source(visibility="private", ttl=timedelta(hours=24), reject={"NUDE": 0.5})}, credits={"resize": 1}
)
gate.decorate(MODERATOR, Scripted())
gate.register(api_keys)
gate.register(pipelines, presets={"generate-image-v1": PRESET})
callbacks = Callbacks([SECRET], private_networks=["127.0.0.0/8"])
gate.register(webhooks, callbacks=callbacks, ca_file=os.environ.get("CA_FILE"))
gate.register(imagepipeline)
