"""All samples, by what they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from samples import bmff, containers, gif, jpeg, png, profiles, webp
from samples.sample import Sample

KINDS: Mapping[str, Callable[[], Iterator[Sample]]] = {
    "jpeg": jpeg.samples,
    "containers": containers.samples,
    "profiles": profiles.samples,
    "png": png.samples,
    "gif": gif.samples,
    "webp": webp.samples,
    "bmff": bmff.samples,
}
