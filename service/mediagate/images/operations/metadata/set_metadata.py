"""set_metadata: write texts about a picture into its files."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Credits, Frames
from mediagate.images.operations.operation import Context, Operation, Params

LONGEST = 500


def _checked(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("has control characters; write one line of plain text")
    return text


Text = Annotated[str, Field(max_length=LONGEST), AfterValidator(_checked)]


class SetMetadata(Params):
    """Write texts into the EXIF of the files that later steps save. Nothing of the uploaded file's metadata is kept."""

    copyright: Text = Field("", description="up to 500 characters")
    description: Text = Field("", description="up to 500 characters")
    artist: Text = Field("", description="up to 500 characters")

    @model_validator(mode="after")
    def _has_text(self) -> Self:
        if not (self.copyright or self.description or self.artist):
            raise ValueError("set copyright, description or artist")
        return self


def set_metadata(frames: Frames, params: SetMetadata, context: Context) -> Frames:
    """Return the same pictures with these texts; texts that are not given stay as an earlier step set them."""
    before = frames.credits
    return replace(
        frames,
        credits=Credits(
            params.copyright or before.copyright,
            params.description or before.description,
            params.artist or before.artist,
        ),
    )


SET_METADATA = Operation("set_metadata", "metadata", SetMetadata, set_metadata, RATES["set_metadata"])
