"""The threads that encode one picture: the caller's, and a second one while it may use a core."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Self, TypeVar, TypeVarTuple, Unpack

from mediagate.images.cores import GiveBack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def always() -> GiveBack:
    """Lend a core unconditionally."""
    return lambda: None


class Encoders:
    """A second thread that encodes whenever it is free and ``borrow`` lends it a core; the caller encodes the rest.

    At most ``threads`` (1 or 2) run.
    """

    def __init__(self, threads: int, borrow: Callable[[], GiveBack | None]) -> None:
        self._beside = ThreadPoolExecutor(1) if threads > 1 else None
        self._borrow = borrow
        self._last: Future[None] | None = None
        self._late: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._beside is not None:
            self._beside.shutdown(cancel_futures=True)

    def submit(self, make: Callable[[Unpack[Ts]], T], *args: *Ts, late: bool = False) -> Future[T]:
        """Call ``make`` in the second thread, or in this one: at once, or if it may be ``late``, in ``finish``.

        Raises what ``make`` raises at once in this thread; the result of the second raises it.
        """
        made: Future[T] = Future()
        work: Callable[[], T] = partial(make, *args)
        if not self._takes(made, work):
            if late:
                self._late.append((made, work))
            else:
                made.set_result(work())
        return made

    def finish(self) -> None:
        """Call what was left for later: the latest of it here, the earliest in the second thread."""
        while self._late:
            if self._takes(*self._late[0]):
                self._late.popleft()
            else:
                made, work = self._late.pop()
                made.set_result(work())

    def _takes(self, made: Future[T], work: Callable[[], T]) -> bool:
        """Start the work in the second thread, if it is there, free, and has a core."""
        if self._beside is None or not (self._last is None or self._last.done()):
            return False
        give_back = self._borrow()
        if give_back is None:
            return False
        try:
            self._last = self._beside.submit(_fulfil, made, work, give_back)
        except RuntimeError:  # there is no memory for the thread's stack; the pool has queued the work all the same
            self._beside.shutdown(wait=False, cancel_futures=True)
            self._beside = None
            give_back()
            return False
        return True


def _fulfil(made: Future[T], work: Callable[[], T], give_back: GiveBack) -> None:
    try:
        made.set_result(work())
    except BaseException as exc:
        made.set_exception(exc)
    finally:
        give_back()
