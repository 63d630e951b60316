"""A limited number of places: one client address gets at most its share, and slow holders are evicted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol

from mediagate.errors import Unavailable

SHARE = 0.25
"""Default share of one client address: occupying all places takes four cooperating addresses."""
IPV6_PREFIX = 64
"""The smallest network assigned to a customer (RFC 6177), who can use all its addresses."""
AGAIN_S = 2.0
"""Retry delay for a place, in seconds: the typical duration of an upload or a download."""


class Holder(Protocol):
    """The upload or download that holds a place."""

    @property
    def overdue(self) -> bool:
        """Whether it is so slow that its place can be given to another."""

    def give_up(self) -> None:
        """End it soon; its place has been given to another."""


class _Place:
    __slots__ = ("address", "holder")

    def __init__(self, address: str | None, holder: Holder | None) -> None:
        self.address = address
        self.holder = holder


class Places:
    """A limited number of places.

    ``share`` (up to 1) is the part of them that one client address may hold. The default ``None`` means ``SHARE``, and
    no limit for a peer on loopback or without an address, which is usually a proxy. When no place is free, ``refusal``
    is raised with the text ``full`` or ``shared``.
    """

    def __init__(self, limit: int, *, share: float | None, refusal: type[Unavailable], full: str, shared: str) -> None:
        self._limit = limit
        self._most = max(1, int(limit * (SHARE if share is None else share)))
        self._with_loopback = share is not None
        self._refusal, self._full, self._shared = refusal, full, shared
        self._held: set[_Place] = set()

    def __len__(self) -> int:
        return len(self._held)

    @contextmanager
    def place(self, host: str | None = None, holder: Holder | None = None) -> Iterator[None]:
        """Hold a place for the client at ``host`` within the block.

        If none is free, an overdue holder is evicted.
        """
        address = counted(host, with_loopback=self._with_loopback)
        if address is not None and sum(place.address == address for place in self._held) >= self._most:
            self._make_room(address, self._shared)
        elif len(self._held) >= self._limit:
            self._make_room(None, self._full)
        place = _Place(address, holder)
        self._held.add(place)
        try:
            yield
        finally:
            self._held.discard(place)

    def _make_room(self, address: str | None, words: str) -> None:
        for place in self._held:
            if address in (None, place.address) and place.holder is not None and place.holder.overdue:
                self._held.discard(place)
                place.holder.give_up()
                return
        raise self._refusal(words, retry_after_s=AGAIN_S)


def counted(host: str | None, *, with_loopback: bool) -> str | None:
    """Return an IPv4 address or the network of an IPv6 address; ``None`` for a client without a limited share."""
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # The form of IPv4 clients on an IPv6 socket (RFC 4291, section 2.5.5.2).
        address = address.ipv4_mapped or address
    if address.is_loopback and not with_loopback:
        return None
    if isinstance(address, IPv6Address):
        return str(ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)
