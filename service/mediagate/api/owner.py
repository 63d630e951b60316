"""An owner whose data is erased or exported."""

from __future__ import annotations

from datetime import date

from mediagate.errors import InvalidParameter
from mediagate.parts import Parts
from mediagate.values import UsageReport, check_owner

BATCH = 100
"""Jobs, or direct uploads, that are held in memory and deleted in one transaction."""


def check_named(owner: str | None) -> None:
    """Raise ``InvalidParameter`` unless this is a valid owner; elsewhere ``None`` stands for all of them."""
    if owner is None:
        raise InvalidParameter("owner: name one; uploads without access control have none")
    check_owner(owner)


async def usage_ever(owner: str, parts: Parts) -> UsageReport:
    """Return the usage of an owner on all days on record."""
    return await parts.records.usage(owner_id=owner, first=date(1970, 1, 1), last=date(9999, 12, 31))
