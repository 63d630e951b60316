"""A gate with a sound preset and two that could fail."""

from __future__ import annotations

from datetime import timedelta

from mediagate import MediaGate, Source
from mediagate_plugins.pipelines import Int, Preset, pipelines

gate = MediaGate(sources={"work": Source(visibility="private", ttl=timedelta(hours=1))}, moderation="off")
gate.register(
    pipelines,
    presets={
        "sound": Preset(steps=[{"op": "flip"}, {"op": "save", "format": "png"}]),
        "wide": Preset(
            steps=[{"op": "resize", "width": {"$param": "width"}}, {"op": "save"}], params={"width": Int(0, 2_000_000)}
        ),
        "mistyped": Preset(steps=[{"op": "flip"}, {"op": "savv"}]),
    },
)
