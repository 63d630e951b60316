"""The gate that ``mediagate serve`` runs by default: two sources, open_nsfw, and the demo page."""

from __future__ import annotations

from mediagate import MediaGate, Source, VariantSpec
from mediagate_plugins.demo_page import demo_page
from mediagate_plugins.open_nsfw import open_nsfw

AVATAR = {
    "xs": VariantSpec(width=64, height=64, fit="cover"),
    "sm": VariantSpec(width=256, height=256, fit="cover"),
    "md": VariantSpec(width=640, height=640, fit="cover"),
}

gate = MediaGate(
    sources={
        "avatar": Source(variants=AVATAR, reject={"explicit": 0.5}),
        "post": Source(reject={"explicit": 0.5}, animation="keep"),
    }
)
gate.register(open_nsfw)
gate.register(demo_page, scores=True)
