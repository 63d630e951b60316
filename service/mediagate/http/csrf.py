"""Protection against cross-site request forgery.

Follows Go's ``http.CrossOriginProtection``, for requests with cookies only. The header ``Sec-Fetch-Site`` decides;
if it is missing, ``Origin`` decides. Clients that send neither are not browsers.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from starlette.requests import Request

from mediagate.config import Settings, read_origin
from mediagate.errors import CrossSiteRequest

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110, section 9.2.1); CORS protects their responses from other sites."""
OWN = frozenset({"same-origin", "none"})
"""``none``: a navigation from the address bar. ``same-site`` is foreign: otherwise a page on a sister subdomain, such
as a customer's blog, could act for every user who is signed in here."""
PORTS = {"http": 80, "https": 443}


def check_site(request: Request, settings: Settings) -> None:
    """Raise ``CrossSiteRequest`` for an unsafe request with cookies that a foreign page sent."""
    headers = request.headers
    if settings.csrf == "off" or request.method in SAFE or "cookie" not in headers:
        return
    site, origin = headers.get("sec-fetch-site", "").lower(), headers.get("origin")
    if site in OWN or (not site and (origin is None or _is_own(origin, request, settings))):
        return
    if origin is None or read_origin(origin) not in settings.allowed_origins:
        raise CrossSiteRequest(
            f"a page of another site ({origin or 'without an origin'!s:.200}) sent this request with cookies; to "
            "allow it, add its origin to allowed_origins (MEDIAGATE_ALLOWED_ORIGINS)"
        )


def _is_own(origin: str, request: Request, settings: Settings) -> bool:
    """Return whether an origin is that of the request's ``Host`` or of ``public_base_url``."""
    sent = _split(origin)
    own = [f"{sent.scheme}://{host}" for host in request.headers.getlist("host")] if sent else []
    return sent is not None and any(
        split is not None and (split.scheme, split.hostname, _port(split)) == (sent.scheme, sent.hostname, _port(sent))
        for split in map(_split, [*own, settings.public_base_url or ""])
    )


def _split(url: str) -> SplitResult | None:
    try:
        split = urlsplit(url)
        return split if split.hostname and split.port != 0 else None
    except ValueError:
        return None


def _port(split: SplitResult) -> int | None:
    return split.port or PORTS.get(split.scheme)
