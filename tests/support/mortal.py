"""Parts each call of which can be where the process dies.

``CRASH_AT=records.settle:before`` kills the process (SIGKILL, by itself) when that method is called,
``…:after`` when it has returned; ``…:after:2`` at the second call.
``records.batches.create`` is a method of a part of a part. ``CRASH_BY=SIGSTOP`` stops it instead.
"""

from __future__ import annotations

import itertools
import os
import signal
from typing import Any

from mediagate.storage import MARK_KEY as KEY

POINT, _, _MOMENT = os.environ.get("CRASH_AT", "").partition(":")
WHEN, _, _COUNT = _MOMENT.partition(":")
countdown = itertools.count(int(_COUNT or 1), -1)


def die() -> None:
    os.kill(os.getpid(), signal.Signals[os.environ.get("CRASH_BY", "SIGKILL")])


class Mortal:
    """Passes every call on to a real part, and dies at the chosen one."""

    def __init__(self, name: str, part: Any) -> None:
        self._name = name
        self._part = part

    def __getattr__(self, method: str) -> Any:
        target = getattr(self._part, method)
        if POINT.startswith(f"{self._name}.{method}."):
            return Mortal(f"{self._name}.{method}", target)
        if f"{self._name}.{method}" != POINT:
            return target

        async def call(*args: Any, **kwargs: Any) -> Any:
            if KEY in args:  # not a step of an upload
                return await target(*args, **kwargs)
            now = next(countdown) == 1
            if now and WHEN == "before":
                die()
            result = await target(*args, **kwargs)
            if now and WHEN == "after":
                die()
            return result

        return call
