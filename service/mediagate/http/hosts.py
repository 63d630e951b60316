"""The check of the ``Host`` header on a loopback address.

Another site can resolve its own name to 127.0.0.1 (DNS rebinding): a browser then sends the requests of its pages
here under that name and lets the pages read the responses. IP addresses cannot be rebound, so they pass.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from mediagate.config import Settings
from mediagate.errors import HostNotAllowed

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]+)(:[0-9]*)?")


def check_host(request: Request, settings: Settings) -> None:
    """Raise ``HostNotAllowed`` for a request that reached a loopback address under a foreign name."""
    server = request.scope.get("server")
    if server is None or not _is_loopback(server[0]) or "*" in settings.allowed_hosts:
        return
    for host in request.headers.getlist("host"):
        if not _is_local(_name(host), settings):
            raise HostNotAllowed(
                f"host {host!r:.200} is not allowed on a loopback address of a service without access control; if it "
                "is a name of this service, add it to allowed_hosts (MEDIAGATE_ALLOWED_HOSTS)"
            )


def _is_loopback(address: str) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return ((ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip).is_loopback


def _is_local(name: str, settings: Settings) -> bool:
    if name == "localhost" or name.endswith(".localhost") or name in settings.allowed_hosts:
        return True
    if settings.public_base_url is not None and name == urlsplit(settings.public_base_url).hostname:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """Return the name or address of a ``Host`` header without its port; a malformed value is returned unchanged."""
    read = _HOST.fullmatch(host.strip().lower())
    return read[1].strip("[]").removesuffix(".") if read else host
