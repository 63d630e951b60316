"""Previews for a remote moderator suit its model, whatever the local moderators' models are like."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from PIL import Image

from mediagate import Picture, Source, VariantSpec, Verdict
from mediagate.images.previews import Previewing
from mediagate.images.render import render
from tests.support.charts import chart

WIDE = Source(variants={"sm": VariantSpec(width=64)})


@dataclass(frozen=True)
class Allowing:
    """Allows every picture."""

    input_edge: int
    labels: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Nothing to load."""

    def judge(self, picture: Picture) -> Verdict:
        return Verdict(model="allowing")


def edges(previews: Sequence[bytes]) -> list[int]:
    """Return the longer edges of JPEGs."""
    return [max(Image.open(io.BytesIO(jpeg)).size) for jpeg in previews]


def previews_of(local: Allowing | None, edge: int) -> list[int]:
    file = io.BytesIO()
    chart(2400, 1600).save(file, "PNG")
    moderator = Previewing(local, edge)
    assert render(file.getvalue(), WIDE, (0.5, 0.5), moderator).verdict.decision == "allow"
    return edges(moderator.jpegs)


def test_previews_have_the_pixels_that_the_service_expects_beside_a_smaller_model() -> None:
    assert max(previews_of(Allowing(224), 1024)) == 2048


def test_previews_have_the_pixels_that_a_larger_model_expects() -> None:
    assert max(previews_of(Allowing(1024), 224)) == 2048


@pytest.mark.parametrize("edges_of_both", [(224, 1024), (1024, 224)])
def test_previews_are_the_views_that_the_smallest_model_needs(edges_of_both: tuple[int, int]) -> None:
    local, remote = edges_of_both
    assert len(previews_of(Allowing(local), remote)) >= len(previews_of(None, 224))
