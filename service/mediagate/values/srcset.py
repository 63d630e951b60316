"""The ``srcset`` of a media: for each format the files among which a browser may choose by width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mediagate.values.media import Variant


def srcset_of(variants: Iterable[Variant], urls: Mapping[str, str]) -> dict[str, str]:
    """Return the ``srcset`` by format, narrowest file first (HTML Living Standard, 4.8.4.2.1); ``urls`` are by name.

    It has the files that show the same as the largest one: its look, and its proportions within a pixel. Variants of
    the same proportions show the same part of their picture, since a crop is as large as possible around the one
    focal point. Of files of equal width the first counts.
    """
    files = list(variants)
    if not files:
        return {}
    largest = max(files, key=lambda file: file.width * file.height)
    by_width: dict[str, dict[int, str]] = {}
    for file in files:
        if file.look == largest.look and _same_proportions(file, largest):
            by_width.setdefault(file.format, {}).setdefault(file.width, urls[file.name])
    return {
        image_format: ", ".join(f"{url} {width}w" for width, url in sorted(urls_of.items()))
        for image_format, urls_of in by_width.items()
    }


def _same_proportions(one: Variant, other: Variant) -> bool:
    """Whether both could be roundings of the same proportions: each edge is off by half a pixel at most."""
    off = abs(one.width * other.height - one.height * other.width)
    return 2 * off <= one.width + one.height + other.width + other.height
