"""What a remote moderator is shown: every picture that was judged, as a JPEG made in the image process."""

from __future__ import annotations

from collections.abc import Mapping

from mediagate.images import pixels
from mediagate.moderation import Moderator, Picture, input_edge
from mediagate.values import Verdict


class Previewing:
    """A moderator that keeps what it was given, besides what another one says of it; for one image."""

    def __init__(self, moderator: Moderator | None, edge: int) -> None:
        self._moderator = moderator
        self.input_edge = edge if moderator is None else input_edge(moderator)
        self.labels = moderator.labels if moderator is not None else frozenset[str]()
        self.groups: Mapping[str, frozenset[str]] = moderator.groups if moderator is not None else {}
        self.jpegs: list[bytes] = []

    def prepare(self) -> None:
        """Do nothing: the other one has been prepared."""

    def judge(self, picture: Picture) -> Verdict:
        """Judge as the other one does; without one, leave it all to whoever sees the JPEGs."""
        verdict = self._moderator.judge(picture) if self._moderator is not None else Verdict()
        self.jpegs.append(pixels.jpeg_of(picture.width, picture.height, picture.rgb()))
        return verdict
