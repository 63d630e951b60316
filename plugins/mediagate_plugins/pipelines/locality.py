"""Whether a request comes from the same machine."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from starlette.requests import Request

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
"""Headers of proxies. A server that does not trust its proxy takes the proxy's own address for the client's."""


def is_local(request: Request) -> bool:
    """Return whether a request came from this machine to a loopback address, and through no proxy for another one."""
    if any(name in request.headers for name in FORWARDED):
        return False
    return all(_is_loopback(request.scope.get(end)) for end in ("server", "client"))


def _is_loopback(end: tuple[str, int | None] | None) -> bool:
    try:
        ip = ip_address(end[0]) if end else None
    except ValueError:
        return False
    return ip is not None and ((ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip).is_loopback
