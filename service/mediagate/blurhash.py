"""BlurHash (https://blurha.sh): a placeholder of about thirty characters."""

from __future__ import annotations

from typing import Any

import blurhash

COMPONENTS = (4, 3)
"""Waves across and down; the count that BlurHash's own documentation shows."""
EDGE = 32
"""Longest edge of the picture that is hashed, in pixels: the hash has no finer detail."""


def blurhash_of(image: Any) -> str:
    """Return the BlurHash of a small opaque ``RGB`` picture."""
    return str(blurhash.encode(image.copy(), *COMPONENTS))  # the library closes what it is given
