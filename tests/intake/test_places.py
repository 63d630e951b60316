"""``Places``: the limit, the share of one address, and which holder loses its place."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from mediagate.errors import TooManyUploads
from mediagate.intake import Places
from mediagate.intake.places import counted


class Held:
    def __init__(self, *, overdue: bool = False) -> None:
        self.overdue = overdue
        self.given_up = 0

    def give_up(self) -> None:
        self.given_up += 1


def places(limit: int, share: float | None = None) -> Places:
    return Places(limit, share=share, refusal=TooManyUploads, full="full", shared="shared")


def fill(some: Places, count: int, host: str | None, stack: ExitStack, holder: Held | None = None) -> None:
    for _ in range(count):
        stack.enter_context(some.place(host, holder))


def test_places_are_limited_and_given_back() -> None:
    some = places(2)
    with some.place(), pytest.raises(KeyError), some.place():
        assert len(some) == 2
        with pytest.raises(TooManyUploads, match="full") as refused, some.place():
            pass
        assert refused.value.headers == {"Retry-After": "2"}
        raise KeyError
    assert len(some) == 0


@pytest.mark.parametrize(
    ("host", "other"), [("203.0.113.7", "203.0.113.8"), ("2001:db8::1", "2001:db8:0:1::1"), ("10.0.0.1", "10.0.0.2")]
)
def test_places_grant_one_address_a_quarter(host: str, other: str) -> None:
    some = places(8)
    with ExitStack() as stack:
        fill(some, 2, host, stack)
        with pytest.raises(TooManyUploads, match="shared"), some.place(host):
            pass
        fill(some, 2, other, stack)
        fill(some, 4, "127.0.0.1", stack)
        with pytest.raises(TooManyUploads, match="full"), some.place("198.51.100.1"):
            pass


def test_places_count_an_ipv6_network_as_one_address() -> None:
    some = places(4)
    with some.place("2001:db8::1"), pytest.raises(TooManyUploads, match="shared"), some.place("2001:db8::ffff:2"):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", None, "testclient"])
def test_places_limit_loopback_only_if_a_share_is_set(host: str | None) -> None:
    with ExitStack() as stack:
        fill(places(4), 4, host, stack)
    told = places(4, share=0.5)
    with ExitStack() as stack:
        fill(told, 2, host, stack)
        if counted(host, with_loopback=True) is None:
            fill(told, 2, host, stack)
        else:
            with pytest.raises(TooManyUploads, match="shared"), told.place(host):
                pass


@pytest.mark.parametrize(("share", "most"), [(1, 4), (0.5, 2), (0.01, 1)])
def test_places_share_is_configurable(share: float, most: int) -> None:
    some = places(4, share)
    with ExitStack() as stack:
        fill(some, most, "203.0.113.7", stack)
        with pytest.raises(TooManyUploads), some.place("203.0.113.7"):
            pass


def test_places_take_over_only_from_an_overdue_holder() -> None:
    some, prompt, slow = places(2), Held(), Held(overdue=True)
    with some.place(None, prompt), ExitStack() as stack:
        fill(some, 1, None, stack, slow)
        with some.place(None, prompt):
            assert (len(some), slow.given_up) == (2, 1)
            with pytest.raises(TooManyUploads), some.place():
                pass
        stack.close()
        assert len(some) == 1, "a place that was taken over is released only once"
    assert prompt.given_up == 0


def test_places_take_over_from_the_same_address() -> None:
    some, mine, theirs = places(8), Held(overdue=True), Held(overdue=True)
    with ExitStack() as stack:
        fill(some, 2, "203.0.113.7", stack, mine)
        fill(some, 2, "203.0.113.8", stack, theirs)
        with some.place("203.0.113.7"):
            assert (mine.given_up, theirs.given_up) == (1, 0)


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", None),
        ("unix:", None),
    ],
)
def test_counted_normalizes_the_host(host: str, told: str | None) -> None:
    assert counted(host, with_loopback=False) == told
