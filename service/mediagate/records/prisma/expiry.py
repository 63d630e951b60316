"""The condition and the order of expired rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mediagate.values import DirectUpload, Job, Media

EXPIRY: Any = [{"expiresAt": "asc"}, {"id": "asc"}]
"""The order of ``expired`` rows."""


def expired(now: datetime, after: DirectUpload | Job | Media | None) -> Any:
    """Return the condition of an expired row after another one, by expiry and id."""
    where: Any = {"expiresAt": {"lte": now}}
    if after is not None:
        where["OR"] = [
            {"expiresAt": {"gt": after.expires_at}},
            {"expiresAt": after.expires_at, "id": {"gt": after.id}},
        ]
    return where
