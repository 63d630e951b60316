"""Signatures of Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks, specification 1.0.0)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)


def key_of(secret: str) -> bytes:
    """Return the key in a ``whsec_`` secret; raises ``ValueError``, which does not quote the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise ValueError("write it as whsec_ and the base64 of 24 to 64 random bytes")
    return key


def signed_headers(
    secrets: Sequence[str], event_id: str, at: datetime, body: bytes, *, simple_header: str | None = None
) -> Mapping[str, str]:
    """Return the headers that sign a body at time ``at``: one signature for each secret.

    ``x-mediagate-signature`` is for receivers without support of Standard Webhooks: the HMAC-SHA256 of the body alone,
    in hex, keyed by the text of the last secret. The last secret is the oldest, since such a receiver may not know a
    newer one until the old one is removed. This signature has no timestamp, so it does not prevent replays.
    ``simple_header`` is a further name of that header.
    """
    moment = str(int(at.timestamp()))
    signed = f"{event_id}.{moment}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key_of(s), signed, hashlib.sha256)).decode() for s in secrets]
    simple = f"sha256={hmac.digest(secrets[-1].encode(), body, hashlib.sha256).hex()}"
    return {
        "webhook-id": event_id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        "x-mediagate-signature": simple,
        **({} if simple_header is None else {simple_header.lower(): simple}),
    }
