"""Presigned URLs: Signature Version 4 in the query, for a chosen signing time.

botocore signs for the current second only, so its URLs of one object differ from answer to answer and from process to
process. Source: Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_EXPIRES_S = 7 * 24 * 3600
"""The longest lifetime that Signature Version 4 allows."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The credentials of a signature; temporary ones have a ``token`` and expire at ``expires_at`` (UTC)."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


def presign(
    method: str,
    url: str,
    *,
    signer: Signer,
    region: str,
    signed_at: datetime,
    expires_s: int,
    headers: Mapping[str, str] | None = None,
) -> str:
    """Return an object's URL with a query that allows ``method`` until ``expires_s`` after ``signed_at`` (UTC).

    ``url`` has no query and a path that needs no escaping; the request must send exactly ``headers``.
    """
    parts = urlsplit(url)
    moment = signed_at.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    signed = dict(sorted({"host": parts.netloc, **{n.lower(): v for n, v in (headers or {}).items()}}.items()))
    query = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{signer.access_key}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(expires_s),
        **({"X-Amz-Security-Token": signer.token} if signer.token else {}),
        "X-Amz-SignedHeaders": ";".join(signed),
    }
    line = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in query.items())
    request = [method, parts.path, line, *(f"{n}:{v}" for n, v in signed.items()), "", ";".join(signed)]
    digest = hashlib.sha256("\n".join([*request, "UNSIGNED-PAYLOAD"]).encode()).hexdigest()
    key = f"AWS4{signer.secret_key}".encode()
    for part in (*scope.split("/"), "\n".join([ALGORITHM, moment, scope, digest])):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return f"{url}?{line}&X-Amz-Signature={key.hex()}"
