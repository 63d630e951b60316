"""The results of image processes: verdict, header and rendered files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Decision = Literal["allow", "review", "reject"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of an image by a moderator and the policy of its source.

    ``scores`` maps each label to its probability (0-1). ``flags`` names the labels or groups that decided;
    ``confidence`` is the highest score among them. ``model`` and ``model_hash`` (SHA-256, hex) identify the model;
    those of several are joined by " + ". ``models`` maps the name of each moderator to the hash of its model.
    """

    decision: Decision = "allow"
    flags: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.0
    model: str = ""
    model_hash: str = ""
    reason: str = ""
    complete: bool = True
    """Whether all views were judged; a rejection skips the rest, so scores may be too low."""
    models: Mapping[str, str] = field(default_factory=dict)
    group_scores: Mapping[str, float] = field(default_factory=dict)
    """The score of each group, the highest of all views."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The header of an image, with the orientation applied to ``width`` and ``height`` (pixels).

    Of a document, the size of its first page at 72 pixels per inch, or of the page that was rendered.
    """

    format: str
    """``jpeg``, ``png``, ``webp``, ``gif``, ``avif``, ``heic`` or ``pdf``."""
    width: int
    height: int
    frames: int = 1
    """Frames of an animation, or pages of a document."""


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One encoded file: a variant or the cleaned original."""

    name: str
    format: str
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Rendered:
    """The result of an image process. A rejected image has a verdict and no files."""

    verdict: Verdict
    info: ImageInfo
    variants: tuple[RenderedFile, ...] = ()
    original: RenderedFile | None = None
    blurhash: str = ""
    thumbhash: str | None = None
    """ThumbHash in Base64, if the source asks for one."""
    dominant_color: str = ""
    """``#rrggbb``"""
    aspect_ratio: str = ""
    has_alpha: bool = False
    removed: tuple[str, ...] = ()
    """Kinds of metadata that were removed, such as ``gps``, ``serial``, ``thumbnail``."""
    warnings: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    model_runs: int = 0
    """How often the model ran on the image."""
    previews: tuple[bytes, ...] = ()
    """JPEGs of all judged views, if requested."""

    @property
    def files(self) -> tuple[RenderedFile, ...]:
        """All files to publish."""
        return (*self.variants, self.original) if self.original else self.variants

    def without_files(self) -> Rendered:
        """Return the result without files, as for a rejected image."""
        return replace(self, variants=(), original=None)
