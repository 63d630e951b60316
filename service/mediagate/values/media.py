"""Media: an approved picture and its published files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mediagate.values.layout import variant_of


@dataclass(frozen=True, slots=True)
class Variant:
    """One published file of a variant.

    The file of the variant's first format has its name; the name of a further one ends with its format: ``sm.jpeg``.
    """

    name: str
    key: str
    format: str
    width: int
    height: int
    bytes: int
    look: str | None = None
    """Identifies what the steps of the variant changed; ``None``: nothing. Files of one look and of the same
    proportions show the same."""

    @property
    def variant(self) -> str:
        """The name of the variant."""
        return variant_of(self.name)

    @property
    def first(self) -> bool:
        """Whether this is the file of the variant's first format."""
        return self.name == self.variant


@dataclass(frozen=True, slots=True)
class Media:
    """An approved picture and its published files."""

    id: str
    job_id: str
    source_type: str
    source_id: str
    original_key: str | None
    format: str
    width: int
    height: int
    bytes: int
    aspect_ratio: str
    blurhash: str
    dominant_color: str
    has_alpha: bool
    frames: int
    focal_x: float
    focal_y: float
    removed: tuple[str, ...]
    client_reference_id: str | None
    created_at: datetime
    variants: tuple[Variant, ...] = ()
    expires_at: datetime | None = None
    """From this time on the media counts as deleted, and the janitor removes it; ``None``: never."""
    owner_id: str | None = None
    """The owner of the upload; ``None`` without access control."""
    thumbhash: str | None = None
    """ThumbHash in Base64; ``None`` if the source did not ask for one."""

    def expired(self, now: datetime) -> bool:
        """Return whether the media has expired at ``now``."""
        return self.expires_at is not None and self.expires_at <= now

    @property
    def keys(self) -> list[str]:
        """The storage keys of every published file."""
        return [v.key for v in self.variants] + ([self.original_key] if self.original_key else [])


@dataclass(frozen=True, slots=True)
class MediaPage:
    """A page of media, newest first; ``next_cursor`` asks for the page after it, ``None`` at the end.

    ``total`` is the number of media on all pages, for a page that was asked for by an offset.
    """

    items: tuple[Media, ...]
    next_cursor: str | None = None
    total: int | None = None
