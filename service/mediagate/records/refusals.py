"""Permanent errors of the database: its schema is outdated, or it denies access."""

from __future__ import annotations

import re
from socket import gaierror

from mediagate.errors import RecordsRefused, RecordsUnavailable, SchemaOutdated
from mediagate.records.client_patches import DataError

MIGRATE = "run `mediagate migrate`"
ACCOUNT = "check host, port, user, password and database in MEDIAGATE_DATABASE_URL"
RUNS = "check that it is running"
LACKING = {"P2021", "P2022", "42P01", "42703"}
"""Prisma's codes (its error reference) and PostgreSQL's (its appendix A) for a missing table or column."""
REFUSING = {"P1000", "P1003", "P1010", "28000", "28P01", "3D000", "42501"}
"""… for a wrong user or password, a missing database, and a missing privilege."""

_LACKING = re.compile(r"no such (?:table|column): (\S+)|(?:table|column|relation) [`\"]([^`\"]+)[`\"].* does not exist")
_REFUSING = re.compile(
    r"Access denied to database|(?:Authentication failed|Database does not exist)[^,)]*|permission denied for \w+ \w+"
)


def refusal_of(exc: BaseException) -> RecordsUnavailable | None:
    """Return the error to raise for a permanent error of the database, ``None`` for any other."""
    if not isinstance(exc, DataError):
        return None
    words = str(exc)
    meta = exc.meta if isinstance(exc.meta, dict) else {}
    codes = {exc.code, meta.get("code")}
    lacking = _LACKING.search(words)
    if codes & LACKING or lacking:
        what = next(filter(None, lacking.groups())) if lacking else words
        return SchemaOutdated(f"the database's schema lacks {what}: {MIGRATE}")
    refusing = _REFUSING.search(words)
    if codes & REFUSING or refusing:
        said = refusing[0] if refusing else words
        return RecordsRefused(refused(said))
    return None


def why_away(exc: BaseException | None) -> str:
    """Return a short reason why a database is unavailable, for known connection errors, else the exception's text."""
    words = str(exc)
    if isinstance(exc, ConnectionRefusedError) or "ECONNREFUSED" in words:
        return "it refuses connections"
    if isinstance(exc, gaierror) or "ENOTFOUND" in words or "EAI_AGAIN" in words:
        return "its host name cannot be resolved"
    if isinstance(exc, TimeoutError) or "ETIMEDOUT" in words or "imeout" in words:
        return "it does not answer in time"
    return f"{type(exc).__name__}: {words}" if words else type(exc).__name__


def refused(said: str) -> str:
    """Return the message for a database that denies access, with its own words."""
    return f"the database denied access ({said}): {ACCOUNT}"
