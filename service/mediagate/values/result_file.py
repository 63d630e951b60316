"""The one file that stands for the result of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mediagate.values.layout import mime_type_of


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file with its URL: the only output of a pipeline, or the largest variant of a media."""

    name: str
    """Of the output or the variant."""
    url: str
    format: str
    width: int
    height: int
    bytes: int

    @property
    def mime_type(self) -> str:
        """The content type of the file."""
        return mime_type_of(self.format)

    def to_json(self) -> dict[str, Any]:
        """Return the ``result`` of a webhook."""
        return {
            "name": self.name,
            "url": self.url,
            "mimeType": self.mime_type,
            "bytes": self.bytes,
            "width": self.width,
            "height": self.height,
        }
