"""All samples, by what they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tests.support.samples import bmff, containers, gif, jpeg, png, profiles, webp
from tests.support.samples.sample import Sample

KINDS: Mapping[str, Callable[[], Iterator[Sample]]] = {
    "jpeg": jpeg.samples,
    "containers": containers.samples,
    "profiles": profiles.samples,
    "png": png.samples,
    "gif": gif.samples,
    "webp": webp.samples,
    "bmff": bmff.samples,
}
