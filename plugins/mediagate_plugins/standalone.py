"""The gate that ``mediagate serve`` runs by default: two sources, NudeNet, and the demo page."""

from __future__ import annotations

from mediagate import MediaGate, Source, VariantSpec
from mediagate_plugins.demo_page import demo_page
from mediagate_plugins.nudenet import nudenet

AVATAR = {
    "xs": VariantSpec(width=64, height=64, fit="cover"),
    "sm": VariantSpec(width=256, height=256, fit="cover"),
    "md": VariantSpec(width=640, height=640, fit="cover"),
}

gate = MediaGate(
    sources={
        "avatar": Source(variants=AVATAR, reject={"explicit": 0.5, "suggestive": 0.8}),
        "post": Source(reject={"explicit": 0.6}, animation="keep"),
    }
)
gate.register(nudenet)
gate.register(demo_page, scores=True)
