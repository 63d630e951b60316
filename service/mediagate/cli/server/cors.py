"""Pages of other origins: what ``mediagate serve`` lets them do, and with whose credentials."""

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
"""What scripts may read of an answer to a request with credentials, where ``*`` stands for nothing but itself."""
PREFLIGHT_S = 7200
"""How long a browser may go without asking again; Chromium keeps an answer no longer."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages that may use the gate from elsewhere: of ``origins``, all for ``*``; with cookies if ``credentials``."""

    origins: tuple[str, ...] = ()
    credentials: bool = False

    @property
    def middleware(self) -> list[Middleware]:
        """What lets them: nothing for no pages."""
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
    """Read the options of ``mediagate serve``; raises ``ConfigError`` naming the one that is wrong."""
    named = tuple(part.strip() for part in origins.split(",") if part.strip())
    try:
        checked = named if named == ("*",) else checked_origins(named)
    except ValueError as exc:
        raise ConfigError(f"--cors-origins: {exc}, or * for all") from None
    if credentials and not checked:
        raise ConfigError("--cors-credentials: name the pages that may send cookies in --cors-origins")
    if credentials and checked == ("*",):
        raise ConfigError(
            "--cors-credentials: every site could act for its visitors; name the pages in --cors-origins instead of *"
        )
    return Pages(checked, credentials)
