"""The syntax of storage keys, and which keys the public may read."""

from __future__ import annotations

import re

from mediagate.values import MEDIA, PUBLISHED, SERVED

MAX_KEY = 1024
"""Characters of a key: what S3 allows."""
MAX_SEGMENT = 255
"""Characters between two slashes: ``NAME_MAX`` of the common filesystems."""

_SEGMENT = rf"[A-Za-z0-9_-][A-Za-z0-9._-]{{0,{MAX_SEGMENT - 1}}}"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")


def is_key(text: str) -> bool:
    """Whether a text is segments of ``[A-Za-z0-9._-]``, joined by ``/``, none starting with a dot."""
    return len(text) <= MAX_KEY and _KEY.fullmatch(text) is not None


def check_key(key: str) -> str:
    """Return the key; raises ``ValueError`` if it is malformed."""
    if not isinstance(key, str) or not is_key(key):
        raise ValueError(
            f"storage key {key!r:.200}: use segments of A-Z a-z 0-9 . _ - joined by /, none empty or "
            f"starting with a dot, at most {MAX_SEGMENT} characters each and {MAX_KEY} in all"
        )
    return key


def check_prefix(prefix: str) -> str:
    """Return the prefix; raises ``ValueError`` unless it is a key followed by ``/``."""
    if not isinstance(prefix, str) or not prefix.endswith("/"):
        raise ValueError(f"storage prefix {prefix!r:.200}: end it with /, such as {MEDIA}")
    check_key(prefix[:-1])
    return prefix


def is_public(key: str) -> bool:
    """Whether a key names a published file."""
    return key.startswith(PUBLISHED) and is_key(key)


def is_served(key: str) -> bool:
    """Whether a key names a published file or an output of a pipeline, which clients can get by its URL."""
    return key.startswith(SERVED) and is_key(key)
