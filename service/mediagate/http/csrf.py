"""Requests that a page of another site has a browser send, with the cookies of this one.

The decision is that of Go's ``http.CrossOriginProtection``, for requests with cookies alone: the header
``Sec-Fetch-Site`` decides; where a browser sends none, ``Origin`` does. Clients that send neither are no browsers.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from starlette.requests import Request

from mediagate.config import Settings, read_origin
from mediagate.errors import CrossSiteRequest

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110, section 9.2.1); what they answer is kept from other sites by CORS."""
OWN = frozenset({"same-origin", "none"})
"""``none``: the user asked for it, in the address bar. ``same-site`` is foreign: a page on a sister subdomain, such as
a customer's blog, would else act for every user who is signed in here."""
PORTS = {"http": 80, "https": 443}


def check_site(request: Request, settings: Settings) -> None:
    """Raise ``CrossSiteRequest`` for one that changes something, has cookies, and was sent by a foreign page."""
    headers = request.headers
    if settings.csrf == "off" or request.method in SAFE or "cookie" not in headers:
        return
    site, origin = headers.get("sec-fetch-site", "").lower(), headers.get("origin")
    if site in OWN or (not site and (origin is None or _is_own(origin, request, settings))):
        return
    if origin is None or read_origin(origin) not in settings.allowed_origins:
        raise CrossSiteRequest(
            f"a page of another site ({origin or 'without an origin'!s:.200}) sent this request with cookies; if it "
            "may, add its origin to allowed_origins (MEDIAGATE_ALLOWED_ORIGINS)"
        )


def _is_own(origin: str, request: Request, settings: Settings) -> bool:
    """Return whether an origin is the one under which the gate was asked, or is said to be reached."""
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
