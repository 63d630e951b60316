"""What an image process is told and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Decision = Literal["allow", "review", "reject"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a moderator, and then the policy of the source, says of an image.

    ``scores`` maps each label to its probability (0-1); ``flags`` names the labels or groups that decided,
    ``confidence`` is the highest score among them. ``model`` and ``model_hash`` (SHA-256, hex) say who judged.
    """

    decision: Decision = "allow"
    flags: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.0
    model: str = ""
    model_hash: str = ""
    reason: str = ""
    complete: bool = True
    """Whether everything was judged that is to be; a rejection stops the rest, so that scores may be too low."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What an image's header says, orientation already applied to ``width`` and ``height`` (pixels)."""

    format: str
    """``jpeg``, ``png``, ``webp``, ``gif``, ``avif`` or ``heic``."""
    width: int
    height: int
    frames: int = 1


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
    """What the image process answers. A rejected image has a verdict and no files."""

    verdict: Verdict
    info: ImageInfo
    variants: tuple[RenderedFile, ...] = ()
    original: RenderedFile | None = None
    blurhash: str = ""
    thumbhash: str | None = None
    """ThumbHash in Base64, where the source asks for one."""
    dominant_color: str = ""
    """``#rrggbb``"""
    aspect_ratio: str = ""
    has_alpha: bool = False
    removed: tuple[str, ...] = ()
    """What metadata was taken out, such as ``gps``, ``serial``, ``thumbnail``."""
    warnings: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    model_runs: int = 0
    """How often the model ran on it."""
    previews: tuple[bytes, ...] = ()
    """JPEGs of all that was judged, when they were asked for."""

    @property
    def files(self) -> tuple[RenderedFile, ...]:
        """All files that are to be published."""
        return (*self.variants, self.original) if self.original else self.variants
