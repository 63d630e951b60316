"""Sources and their variants."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from mediagate.errors import ConfigError

MIB = 1024 * 1024

Score = Annotated[float, Field(gt=0, le=1)]
Format = Literal["jpeg", "png", "webp", "gif", "avif", "heic"]
"""The name of an upload format."""
VariantFormat = Literal["webp", "avif", "jpeg", "png"]
Language = Literal["en", "de", "es", "fr", "ja"]
"""A language of the messages for end users."""
Placeholder = Literal["blurhash", "thumbhash"]
Effort = Annotated[int, Field(ge=0, le=6)]
"""Encoder effort from 0 (fast) to 6 (small), on libwebp's scale."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as exc:
            raise ConfigError(_problems(type(self).__name__, exc)) from None


class VariantSpec(_Frozen):
    """The size and encoding of a variant; ``width`` and ``height`` in pixels, never enlarged beyond the original.

    ``fit="inside"`` fits the whole picture within width x height, one of which may be omitted.
    ``fit="cover"`` fills both and crops around the focal point. ``formats`` publishes one file for each format, with
    the first one in ``urls``; ``format`` is the same for a single one. ``steps`` are operations of pipelines that run
    on the resized picture.
    """

    width: Annotated[int, Field(ge=1, le=16384)] | None = None
    height: Annotated[int, Field(ge=1, le=16384)] | None = None
    fit: Literal["inside", "cover"] = "inside"
    format: VariantFormat = "webp"
    formats: Annotated[tuple[VariantFormat, ...], Field(min_length=1)] = ("webp",)
    quality: Annotated[int, Field(ge=1, le=100)] = 80
    effort: Effort | None = None
    """Encoder effort; unset: the effort of the source."""
    steps: tuple[Mapping[str, Any], ...] = ()
    """Operations of the families transform and filter, such as ``{"op": "look", "name": "noir"}``, in their order."""

    @property
    def steps_text(self) -> str:
        """The steps as JSON, the same for equal steps; empty without steps."""
        return json.dumps(self.steps, sort_keys=True, allow_nan=False) if self.steps else ""

    @model_validator(mode="before")
    @classmethod
    def _fill_format(cls, values: Any) -> Any:
        """Derive each of ``format`` and ``formats`` from the other."""
        if not isinstance(values, Mapping):
            return values
        formats = values.get("formats")
        if formats is None:
            return {**values, "formats": (values.get("format", "webp"),)}
        named = isinstance(formats, Sequence) and not isinstance(formats, str) and len(formats) > 0
        return {"format": formats[0], **values} if named else values

    @model_validator(mode="after")
    def _formats_agree(self) -> Self:
        if self.format != self.formats[0]:
            raise ValueError("format is not the first of formats; leave format out")
        if len(set(self.formats)) < len(self.formats):
            raise ValueError("a format is named twice in formats")
        return self

    @field_validator("steps")
    @classmethod
    def _steps_are_json(cls, steps: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
        try:
            json.dumps(steps, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as exc:
            raise ValueError(f"not JSON: {exc}") from None
        return steps

    @model_validator(mode="after")
    def _has_size(self) -> Self:
        if self.width is None and self.height is None:
            raise ValueError("no size; set width, height or both")
        if self.fit == "cover" and (self.width is None or self.height is None):
            raise ValueError('fit="cover" needs both width and height')
        return self


DEFAULT_VARIANTS: Mapping[str, VariantSpec] = {
    "xs": VariantSpec(width=64),
    "sm": VariantSpec(width=256),
    "md": VariantSpec(width=640),
    "lg": VariantSpec(width=1280),
    "xl": VariantSpec(width=1920),
}
"""Five widths, WebP quality 80."""


class Source(_Frozen):
    """The policy of one source type: limits, variants and moderation thresholds."""

    formats: Annotated[tuple[Format, ...], Field(min_length=1)] = get_args(Format)
    """Accepted formats, detected from the bytes."""
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


def _problems(owner: str, exc: ValidationError) -> list[str]:
    return [f"{owner}.{'.'.join(str(p) for p in e['loc']) or '(all)'}: {e['msg']}" for e in exc.errors()]
