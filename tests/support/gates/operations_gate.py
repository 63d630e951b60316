"""The demo page with pipelines: for callers on this machine, for callers with keys, and with presets only."""

from __future__ import annotations

from datetime import timedelta

from mediagate import MODERATOR, MediaGate, Source, VariantSpec
from mediagate_plugins.api_keys import api_keys
from mediagate_plugins.demo_page import demo_page
from mediagate_plugins.pipelines import Int, OneOf, Preset, pipelines
from tests.support.demo_operations import demo_operations
from tests.support.moderators import Scripted

WORK = Source(visibility="private", ttl=timedelta(hours=2), reject={"NUDE": 0.5}, max_bytes=2_000_000)
CARD = Preset(
    steps=[
        {"op": "resize", "width": {"$param": "width"}},
        {"op": "look", "name": {"$param": "look"}},
        {"op": "save", "as": "large", "format": "webp"},
        {"op": "resize", "from": "original", "width": 60},
        {"op": "save", "as": "small", "format": "png"},
    ],
    params={"width": Int(50, 400, default=200), "look": OneOf("noir", "sepia", default="sepia")},
)
VARIANTS = {"xs": VariantSpec(width=64), "sm": VariantSpec(width=256)}
SOURCES = {"post": Source(variants=VARIANTS, reject={"NUDE": 0.5}), "work": WORK}

gate = MediaGate(sources=SOURCES)
gate.decorate(MODERATOR, Scripted())
gate.register(demo_page)
gate.register(pipelines, presets={"card": CARD}, ad_hoc="local")
gate.register(demo_operations)

keyed = MediaGate(sources=SOURCES)
keyed.decorate(MODERATOR, Scripted())
keyed.register(api_keys)
keyed.register(demo_page)
keyed.register(pipelines, presets={"card": CARD}, ad_hoc="all")

presets_only = MediaGate(sources=SOURCES)
presets_only.decorate(MODERATOR, Scripted())
presets_only.register(demo_page)
presets_only.register(pipelines, presets={"card": CARD})
