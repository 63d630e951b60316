"""The gate that ``mediagate serve`` runs by default: open_nsfw, the demo page, and pipelines.

Callers on the same machine may send steps, all others run presets. Files of pipelines are private and deleted after an
hour.
"""

from __future__ import annotations

from datetime import timedelta

from mediagate import MediaGate, Source, VariantSpec
from mediagate_plugins.demo_page import demo_page
from mediagate_plugins.open_nsfw import open_nsfw
from mediagate_plugins.pipelines import Int, OneOf, Preset, pipelines

AVATAR = {
    "xs": VariantSpec(width=64, height=64, fit="cover"),
    "sm": VariantSpec(width=256, height=256, fit="cover"),
    "md": VariantSpec(width=640, height=640, fit="cover"),
}
WORK = Source(
    visibility="private",
    ttl=timedelta(hours=1),
    reject={"explicit": 0.5},
    animation="keep",
    original="delete",
    priority="low",
    max_pixels=25_000_000,
    max_animation_pixels=50_000_000,
)
FILM = Preset(
    steps=[
        {"op": "resize", "width": {"$param": "width"}},
        {"op": "look", "name": {"$param": "look"}, "intensity": 80},
        {"op": "vignette", "strength": 35},
        {"op": "grain", "strength": 12},
        {"op": "save", "as": "film", "format": "webp"},
    ],
    params={
        "width": Int(100, 4000, default=1600),
        "look": OneOf("cinematic", "warm_film", "vintage", "noir", default="warm_film"),
    },
    ad_hoc=True,
)
WEB = Preset(
    steps=[
        {"op": "resize", "width": 1600},
        {"op": "save", "as": "large", "format": "webp"},
        {"op": "resize", "from": "original", "width": {"$param": "edge"}, "height": {"$param": "edge"}, "fit": "cover"},
        {"op": "save", "as": "square", "format": "avif"},
    ],
    params={"edge": Int(16, 1000, default=320)},
    ad_hoc=True,
)

gate = MediaGate(
    sources={
        "avatar": Source(variants=AVATAR, reject={"explicit": 0.5}),
        "post": Source(reject={"explicit": 0.5}, animation="keep"),
        "work": WORK,
    }
)
gate.register(open_nsfw)
gate.register(pipelines, source="work", presets={"film": FILM, "web": WEB}, ad_hoc="local")
gate.register(demo_page, scores=True)
