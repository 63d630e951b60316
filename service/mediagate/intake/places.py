"""Places of which a process has so many: one client address takes at most its share, and who dawdles makes room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol

from mediagate.errors import Unavailable

SHARE = 0.25
"""Of all places, for one client address, unless told: four addresses must work together to take them all."""
IPV6_PREFIX = 64
"""What one customer is given at least (RFC 6177): whoever has one address of it has all."""
AGAIN_S = 2.0
"""When to ask again for a place: an upload and a file take about that long."""


class Holder(Protocol):
    """What a place is held for."""

    @property
    def overdue(self) -> bool:
        """Whether it takes longer than it should, so that another may have the place."""

    def give_up(self) -> None:
        """End it soon; its place is another's by now."""


class _Place:
    __slots__ = ("address", "holder")

    def __init__(self, address: str | None, holder: Holder | None) -> None:
        self.address = address
        self.holder = holder


class Places:
    """A limited number of places.

    ``share`` (up to 1) is the part of them that one client address may hold; ``None``: ``SHARE``, but all for a peer on
    loopback or without an address, which is a proxy as a rule. ``refusal`` is raised when there is no place, with
    the words ``full`` or ``shared``.
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
        """Hold a place for the length of the block, for the client at ``host``.

        Where there is none left, a holder that is overdue is given up, and its place taken.
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
    """Return an IPv4 address, or the network of an IPv6 address; ``None`` for who has no share of its own."""
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # A server that listens on IPv6 sees its IPv4 clients so (RFC 4291, section 2.5.5.2).
        address = address.ipv4_mapped or address
    if address.is_loopback and not with_loopback:
        return None
    if isinstance(address, IPv6Address):
        return str(ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)
