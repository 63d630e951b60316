"""Cross-origin resource sharing (CORS) of ``mediagate serve``."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from mediagate.config import checked_origins
from mediagate.errors import ConfigError

METHODS = ("GET", "POST", "PUT", "DELETE")
EXPOSED = (
    "Accept-Ranges",
    "Allow",
    "Content-Range",
    "ETag",
    "Location",
    "Mediagate-Job-Status",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
)
"""Response headers exposed to scripts; requests with credentials need this list, because ``*`` is literal there."""
PREFLIGHT_S = 7200
"""How long a browser may cache a preflight, in seconds; this is Chromium's maximum."""


@dataclass(frozen=True, slots=True)
class Pages:
    """The origins of pages that may use the gate, ``*`` for all; with cookies if ``credentials``."""

    origins: tuple[str, ...] = ()
    credentials: bool = False

    @property
    def middleware(self) -> list[Middleware]:
        """The CORS middleware; empty without origins."""
        if not self.origins:
            return []
        return [
            Middleware(
                CORSMiddleware,
                allow_origins=self.origins,
                allow_methods=METHODS,
                allow_headers=["*"],
                allow_credentials=self.credentials,
                expose_headers=EXPOSED if self.credentials else ["*"],
                max_age=PREFLIGHT_S,
            )
        ]


def read_pages(origins: str, *, credentials: bool) -> Pages:
    """Parse the options of ``mediagate serve``; raises ``ConfigError`` with the invalid option."""
    named = tuple(part.strip() for part in origins.split(",") if part.strip())
    try:
        checked = named if named == ("*",) else checked_origins(named)
    except ValueError as exc:
        raise ConfigError(f"--cors-origins: {exc}, or * for all") from None
    if credentials and not checked:
        raise ConfigError("--cors-credentials: --cors-origins is missing; list the origins that may send cookies")
    if credentials and checked == ("*",):
        raise ConfigError(
            "--cors-credentials: with * every site could act for its visitors; list the origins in --cors-origins"
        )
    return Pages(checked, credentials)
