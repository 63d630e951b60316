"""A gate whose variants have several formats."""

from __future__ import annotations

from mediagate import MediaGate, Source, VariantSpec

gate = MediaGate(
    sources={
        "photo": Source(
            variants={
                **{
                    f"w{width}": VariantSpec(width=width, formats=("avif", "webp", "jpeg"), effort=0)
                    for width in (320, 640, 1280)
                },
                "thumb": VariantSpec(width=64, height=64, fit="cover", format="jpeg"),
            }
        )
    },
    moderation="off",
)
