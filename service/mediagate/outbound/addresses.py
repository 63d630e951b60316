"""The addresses that outbound requests may reach: public unicast addresses, and networks that the host allows.

The refused networks are those of the IANA special-purpose address registries
(https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry) that are not meant for
public servers, plus a metadata service with a public address. They are listed here because Python's own list differs
between its versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

REFUSED: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers; also a cloud's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's virtual host, in every virtual network
        "169.254.0.0/16",  # link-local, where most metadata services are
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; also a cloud's metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments, among them Teredo, which embeds IPv4
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds IPv4
        "3fff::/20",  # documentation
    )
)
GLOBAL_IPV6 = IPv6Network("2000::/3")
"""The only allocated IPv6 unicast block; loopback, link-local, private and multicast addresses are outside."""
NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last four bytes are the IPv4 address that is actually reached."""


def may_be_reached(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Return whether a numeric address is public or in one of the allowed networks."""
    ip = _meant(ip_address(address.partition("%")[0]))
    if any(ip in network for network in allowed):
        return True
    if isinstance(ip, IPv6Address) and ip not in GLOBAL_IPV6:
        return False
    return not any(ip in network for network in REFUSED)


def _meant(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address embedded in an IPv4-mapped or NAT64 address, else the address itself."""
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip in NAT64:
            return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip
