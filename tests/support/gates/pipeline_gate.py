"""A gate for ``mediagate run``: a moderator that decides by the picture's width, and presets."""

from __future__ import annotations

from datetime import timedelta

from mediagate import MODERATOR, MediaGate, Source
from mediagate_plugins.pipelines import Int, OneOf, Preset, Secret, pipelines
from tests.support.moderators import Scripted

gate = MediaGate(
    sources={
        "avatar": Source(reject={"NUDE": 0.5}),
        "work": Source(
            formats=("jpeg", "png", "pdf"),
            visibility="private",
            ttl=timedelta(hours=1),
            reject={"NUDE": 0.5},
            max_bytes=1_000_000,
        ),
    }
)
gate.decorate(MODERATOR, Scripted())
gate.register(
    pipelines,
    presets={
        "thumb": Preset(
            steps=[
                {"op": "resize", "width": {"$param": "width"}, "height": 50, "fit": "cover"},
                {"op": "save", "format": {"$param": "format"}},
            ],
            params={"width": Int(1, 500, default=50), "format": OneOf("webp", "png", default="webp")},
        ),
        "two": Preset(
            steps=[
                {"op": "save", "as": "large", "format": "jpeg"},
                {"op": "resize", "from": "original", "width": 40},
                {"op": "save", "as": "small", "format": "png"},
                {"op": "read_metadata"},
            ]
        ),
        "marked": Preset(
            steps=[{"op": "watermark", "picture": "logo"}, {"op": "save", "format": "png"}], pictures=["logo"]
        ),
        "pages": Preset(
            steps=[
                {"op": "render", "dpi": 72, "password": {"$param": "password"}},
                {"op": "read_text"},
                {"op": "save"},
            ],
            params={"password": Secret()},
        ),
        "joined": Preset(
            steps=[{"op": "render", "dpi": 72, "onError": "skip"}, {"op": "save", "format": "pdf", "join": True}]
        ),
    },
)
