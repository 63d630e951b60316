"""Previews for a remote moderator: every judged picture, as a JPEG made in the image process."""

from __future__ import annotations

from collections.abc import Mapping

from mediagate.images import pixels
from mediagate.moderation import Moderator, Picture, exclusive_of, input_edge, smallest_input_edge
from mediagate.values import Verdict


class Previewing:
    """A moderator that collects the pictures of one image as JPEGs and delegates their judgement, if it can."""

    def __init__(self, moderator: Moderator | None, edge: int) -> None:
        self._moderator = moderator
        self.input_edge = edge if moderator is None else max(edge, input_edge(moderator))
        self.smallest_input_edge = edge if moderator is None else min(edge, smallest_input_edge(moderator))
        self.labels = moderator.labels if moderator is not None else frozenset[str]()
        self.exclusive = exclusive_of(moderator)
        self.groups: Mapping[str, frozenset[str]] = moderator.groups if moderator is not None else {}
        self.jpegs: list[bytes] = []

    def prepare(self) -> None:
        """Do nothing: the wrapped moderator is already prepared."""

    def judge(self, picture: Picture) -> Verdict:
        """Return the wrapped moderator's verdict; without one, leave judgement to the remote moderator."""
        verdict = self._moderator.judge(picture) if self._moderator is not None else Verdict()
        self.jpegs.append(pixels.jpeg_of(picture.width, picture.height, picture.rgb()))
        return verdict
