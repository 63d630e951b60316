"""The policies of source types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from mediagate.config.variants import DEFAULT_VARIANTS, Effort, Frozen, VariantSpec
from mediagate.errors import ConfigError

MIB = 1024 * 1024

Score = Annotated[float, Field(gt=0, le=1)]
PictureFormat = Literal["jpeg", "png", "webp", "gif", "avif", "heic"]
Format = PictureFormat | Literal["pdf"]
"""The name of a format that can be accepted."""
Placeholder = Literal["blurhash", "thumbhash"]
Language = Literal["en", "de", "es", "fr", "ja"]
"""A language of the messages for end users."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Source(Frozen):
    """The policy of one source type: limits, variants and moderation thresholds."""

    formats: Annotated[tuple[Format, ...], Field(min_length=1)] = get_args(PictureFormat)
    """Accepted formats, detected from the bytes; ``pdf``, which only pipelines can process, is none by default."""
    variants: Mapping[str, VariantSpec] = DEFAULT_VARIANTS
    reject: Mapping[str, Score] = {}
    """Label or label group → score (0-1) from which an image is rejected."""
    review: Mapping[str, Score] = {}
    """Label or label group → score (0-1) from which an image needs human review; without a reviewer it is rejected."""
    moderators: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Names of the moderators that judge its pictures; unset: all."""
    visibility: Literal["public", "private"] = "public"
    """Whether the URLs of files are public and permanent, or signed and expiring."""
    priority: Literal["high", "normal", "low"] = "normal"
    """Jobs of higher priority are claimed before all jobs of lower priority."""
    scrutiny: Literal["standard", "thorough"] = "standard"
    """Into how many parts a picture is split for the moderator, which determines the smallest detectable content."""
    original: Literal["keep", "delete"] = "keep"
    """Whether the cleaned original is published with the variants."""
    placeholders: tuple[Placeholder, ...] = ("blurhash",)
    """Placeholders to show until a picture is loaded; every media has a BlurHash."""
    ttl: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=36_500))] | None = None
    """How long a media is kept after its completion; unset: until it is deleted."""
    colour: Literal["srgb", "wide"] = "srgb"
    """Whether the original of a wide-gamut picture keeps Display P3; everything else is sRGB."""
    effort: Effort = 4
    """Default encoder effort of the variants; 2 has 1.5 times the throughput of 4, with a tenth more bytes."""
    messages: Mapping[str, str | Mapping[Language, str]] = {}
    """Error code → message for end users, optionally by language; ``{limit}`` is replaced by the size limit."""
    animation: Literal["first_frame", "keep", "reject"] = "first_frame"
    max_bytes: Annotated[int, Field(ge=1)] = 20 * MIB
    max_pixels: Annotated[int, Field(ge=1)] = 50_000_000
    """Pixels of one frame (width x height)."""
    damaged: Literal["refuse", "accept"] = "refuse"
    """Whether a picture with missing pixels is refused, or published as browsers show it."""
    max_frames: Annotated[int, Field(ge=1)] = 1000
    """Maximum number of frames when an animation is kept; a longer one is refused."""
    max_animation_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    """Maximum total of the pixels of all frames when an animation is kept."""
    max_pages: Annotated[int, Field(ge=1, le=1000)] = 50
    """Maximum number of pages of documents that one pipeline renders."""

    @property
    def rank(self) -> int:
        """The priority as a number; lower ranks are claimed first."""
        return {"high": -1, "normal": 0, "low": 1}[self.priority]

    def effort_of(self, spec: VariantSpec) -> int:
        """Return the encoder effort of a variant."""
        return self.effort if spec.effort is None else spec.effort

    @field_validator("placeholders")
    @classmethod
    def _has_blurhash(cls, placeholders: tuple[Placeholder, ...]) -> tuple[Placeholder, ...]:
        if "blurhash" not in placeholders:
            raise ValueError('a BlurHash is required; use ("blurhash",) or ("blurhash", "thumbhash")')
        return placeholders

    @field_validator("variants")
    @classmethod
    def _names(cls, variants: Mapping[str, VariantSpec]) -> Mapping[str, VariantSpec]:
        if not variants:
            raise ValueError("no variant; set at least one")
        for name in variants:
            _check_name("variant", name)
        return variants

    @model_validator(mode="after")
    def _documents_are_for_pipelines(self) -> Self:
        if "pdf" in self.formats and (self.visibility != "private" or self.ttl is None):
            raise ValueError('pdf is for the source of pipelines, which has visibility="private" and a ttl; set both')
        return self


def check_sources(sources: Mapping[str, Source]) -> None:
    """Raise ``ConfigError`` unless there is at least one source and every name is valid in a storage key."""
    if not sources:
        raise ConfigError('sources is empty; set at least one, such as sources={"avatar": Source()}')
    problems = []
    for name in sources:
        try:
            _check_name("source", name)
        except ValueError as exc:
            problems.append(str(exc))
    if problems:
        raise ConfigError(problems)


def _check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{kind} {name!r}: use lower-case letters, digits, - and _, at most 64, not starting with - or _"
        )
