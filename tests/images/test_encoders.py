"""Which thread encodes what, and when."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable

import pytest

from mediagate.images.cores import GiveBack
from mediagate.images.encoders import Encoders, always

HERE = threading.get_ident


def never() -> GiveBack | None:
    """Lend no core."""
    return None


@pytest.mark.parametrize(("threads", "borrow"), [(1, always), (2, never)])
def test_the_only_thread_encodes_at_once_or_in_finish(threads: int, borrow: Callable[[], GiveBack | None]) -> None:
    order: list[str] = []
    with Encoders(threads, borrow) as encoders:
        large, small = (encoders.submit(order.append, name, late=True) for name in ("large", "small"))
        assert encoders.submit(HERE).result() == HERE()
        assert order == []
        assert not large.done()
        encoders.finish()
    assert order == ["small", "large"]
    assert large.done()
    assert small.done()


def test_a_second_thread_takes_the_first_while_the_caller_encodes_the_last() -> None:
    both = threading.Barrier(2, timeout=20)

    def meet() -> int:
        both.wait()
        return HERE()

    with Encoders(2, always) as encoders:
        large, small = encoders.submit(meet, late=True), encoders.submit(meet, late=True)
        assert not small.done()
        encoders.finish()
        assert large.result() != HERE()
        assert small.result() == HERE()


def test_a_core_that_is_lent_later_takes_the_earliest_of_what_is_left() -> None:
    lent: list[bool] = []
    both = threading.Barrier(2, timeout=20)

    def borrow() -> GiveBack | None:
        return always() if lent else None

    def meet(name: str) -> tuple[str, bool]:
        both.wait()
        return name, HERE() == caller

    caller = HERE()
    with Encoders(2, borrow) as encoders:
        made = [encoders.submit(meet, name, late=True) for name in ("large", "small")]
        lent.append(True)
        encoders.finish()
        assert [each.result() for each in made] == [("large", False), ("small", True)]


@pytest.mark.parametrize("late", [False, True])
def test_an_error_of_the_caller_ends_the_picture_at_once(late: bool) -> None:
    order: list[str] = []

    def fail() -> None:
        raise MemoryError

    with Encoders(1, always) as encoders:
        encoders.submit(order.append, "large", late=True)
        with pytest.raises(MemoryError):
            encoders.submit(fail, late=late)
            encoders.finish()
    assert order == []


def test_an_error_of_the_second_thread_is_raised_by_its_result() -> None:
    given_back: list[bool] = []

    def fail() -> None:
        raise MemoryError

    with Encoders(2, lambda: lambda: given_back.append(True)) as encoders:
        failed = encoders.submit(fail, late=True)
        encoders.finish()
        with pytest.raises(MemoryError):
            failed.result()
    assert given_back == [True]


class Pixels:
    """Something large."""


def test_an_error_of_the_caller_holds_no_pixels_once_it_is_handled() -> None:
    def fail(held: Pixels) -> None:
        raise MemoryError

    held = Pixels()
    alive = weakref.ref(held)
    gc.disable()
    try:
        with Encoders(1, always) as encoders:
            encoders.submit(fail, held, late=True)
            del held
            with pytest.raises(MemoryError):
                encoders.finish()
        assert alive() is None
    finally:
        gc.enable()


def test_a_core_is_given_back_before_the_next_is_lent() -> None:
    cores: list[str] = []

    def give_back() -> None:
        threading.Event().wait(0.01)
        cores.pop()

    def borrow() -> GiveBack:
        assert cores == []
        cores.append("lent")
        return give_back

    with Encoders(2, borrow) as encoders:
        for _ in range(20):
            encoders.submit(threading.Event().wait, 0.001).result()
    assert cores == []


def test_the_caller_encodes_where_no_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[bool] = []

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    order: list[str] = []
    with Encoders(2, lambda: lambda: given_back.append(True)) as encoders:
        encoders.submit(order.append, "large", late=True)
        encoders.submit(order.append, "small", late=True)
        encoders.finish()
    assert order == ["small", "large"]
    assert given_back == [True]
