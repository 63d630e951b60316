"""The client address of a request, also behind proxies."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.requests import Request

IPV6_PREFIX = 64
"""The smallest network assigned to a customer (RFC 6177), who can use all its addresses."""
UNIX = "unix"
"""Denotes a proxy that connects over a Unix socket, which has no address."""

Address = IPv4Address | IPv6Address


class Addresses:
    """Determines the address under which a request is counted.

    ``trusted`` are addresses or networks of proxies whose ``X-Forwarded-For`` is trusted; raises ``ValueError``.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._unix = UNIX in trusted
        self._trusted = [ip_network(text) for text in trusted if text != UNIX]

    def of(self, request: Request) -> str:
        """Return an IPv4 address or an IPv6 network of 64 bits; ``unknown`` for a peer without an address."""
        return _counted(self._address(request))

    def _address(self, request: Request) -> Address | None:
        peer = _read(request.client.host) if request.client else None
        if not (self._unix if peer is None else self._is_trusted(peer)):
            return peer
        # Each proxy appends its peer, so only the entries of trusted proxies are reliable: read from the end.
        hops = ",".join(request.headers.getlist("X-Forwarded-For")).split(",")
        for hop in reversed(hops):
            address = _read(hop)
            if address is None:
                return peer
            peer = address
            if not self._is_trusted(address):
                return peer
        return peer

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _read(text: str) -> Address | None:
    """Parse an address, with an optional port, brackets and zone, as some proxies write them."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # The form of IPv4 clients on an IPv6 socket (RFC 4291, section 2.5.5.2).
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _counted(address: Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, IPV6_PREFIX), strict=False))
    return str(address) if address else "unknown"
