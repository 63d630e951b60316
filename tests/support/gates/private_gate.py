"""A gate with public and private pictures in small sizes, on the embedded defaults, with moderation off."""

from mediagate import MediaGate, Source, VariantSpec

SIZES = {"sm": VariantSpec(width=64), "md": VariantSpec(width=128)}
gate = MediaGate(
    sources={"avatar": Source(variants=SIZES), "document": Source(variants=SIZES, visibility="private")},
    moderation="off",
)
