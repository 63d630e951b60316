"""A gate with the dialect of ImageHQ, keys, and a moderator that decides by the picture's width."""

from __future__ import annotations

from datetime import timedelta

from mediagate import MODERATOR, MediaGate, Source
from mediagate_plugins.api_keys import api_keys
from mediagate_plugins.dialects.imagehq import imagehq
from mediagate_plugins.pipelines import pipelines
from tests.support.moderators import Scripted

gate = MediaGate(sources={"work": Source(visibility="private", ttl=timedelta(hours=24), reject={"NUDE": 0.5})})
gate.decorate(MODERATOR, Scripted())
gate.register(api_keys)
gate.register(pipelines, ad_hoc="all")
gate.register(imagehq)
