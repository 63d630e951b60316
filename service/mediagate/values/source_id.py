"""Source ids, and the segments that stand for them in storage keys."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MOST_CHARACTERS = 255
MOST_ENCODED = 120
"""Bytes of a segment that is encoded reversibly."""
REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories: control characters, halves of surrogate pairs, line and paragraph separators. PostgreSQL stores
no NUL, UTF-8 no surrogates, and the others break lines of logs."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
"""What release 0.1.0 accepted; such an id is its own segment."""
_KEPT = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")


def source_id_problem(source_id: object) -> str | None:
    """Return what is wrong with a source id."""
    if not isinstance(source_id, str) or not 1 <= len(source_id) <= MOST_CHARACTERS:
        return f"use a text of 1 to {MOST_CHARACTERS} characters"
    if any(unicodedata.category(character) in REFUSED for character in source_id):
        return "use no control characters and no line breaks"
    return None


def source_segment(source_id: str) -> str:
    """Return the segment of a source id in storage keys: at most 128 of ``A-Z a-z 0-9 . _ -``.

    An id of up to 128 letters, digits, ``-`` and ``_`` that starts with a letter or digit is its own segment. Any other
    one gets a ``_``, which none of those starts with, and each byte of its UTF-8 but ``a-z 0-9 - _`` is written as
    ``.`` and two lower-case hexadecimal digits. If that is longer than ``MOST_ENCODED``, the segment is ``_sha256-``
    and the hash of the id. The segments of two ids differ, those with a ``_`` also where upper and lower case do not.
    """
    if _PLAIN.fullmatch(source_id):
        return source_id
    encoded = source_id.encode()
    segment = "_" + "".join(chr(byte) if byte in _KEPT else f".{byte:02x}" for byte in encoded)
    return segment if len(segment) <= MOST_ENCODED else f"_sha256-{hashlib.sha256(encoded).hexdigest()}"
