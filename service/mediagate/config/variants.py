"""The variants of a source."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mediagate.errors import ConfigError

VariantFormat = Literal["webp", "avif", "jpeg", "png"]
Effort = Annotated[int, Field(ge=0, le=6)]
"""Encoder effort from 0 (fast) to 6 (small), on libwebp's scale."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as exc:
            raise ConfigError(problems_of(type(self).__name__, exc)) from None


class VariantSpec(Frozen):
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


def problems_of(owner: str, exc: ValidationError) -> list[str]:
    """Return each fault of a model with the place of its field."""
    return [f"{owner}.{'.'.join(str(p) for p in e['loc']) or '(all)'}: {e['msg']}" for e in exc.errors()]
