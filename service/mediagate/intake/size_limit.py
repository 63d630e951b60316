"""The limit on the bytes of a file: each way in checks it here."""

from __future__ import annotations

from mediagate.errors import UploadTooLarge


def check_size(size: int, limit: int, name: str) -> None:
    """Raise ``UploadTooLarge``, a 413, for more bytes than the limit, which the error calls by this name."""
    if size > limit:
        raise UploadTooLarge(f"the file is larger than {limit:,} bytes, {name}; send a smaller one", limit=limit)
