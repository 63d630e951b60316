"""The moderator and the operations of pipelines on their way to the image processes."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mediagate.errors import ConfigError
from mediagate.moderation import Moderator, members_of

if TYPE_CHECKING:
    from mediagate.images.operations import Operations
    from mediagate.values import Produced


def pickled(operations: Operations | None) -> bytes:
    """Return the operations for the image processes; raises ``ConfigError`` if one cannot be sent there."""
    try:
        return pickle.dumps(operations)
    except Exception as exc:
        raise ConfigError(
            f"the operations cannot be sent to the image processes ({type(exc).__name__}: {exc}); "
            "define their functions and models at the top level of modules"
        ) from exc


def pickled_moderator(moderator: Moderator | None) -> bytes:
    """Return the moderator for the image processes; raises ``ConfigError`` if it cannot be sent there."""
    try:
        if any(type(one).__module__ == "__main__" for one in members_of(moderator).values()):
            raise TypeError("its class is defined in __main__")
        return pickle.dumps(moderator)
    except Exception as exc:
        raise ConfigError(
            f"the moderator cannot be sent to the image processes ({type(exc).__name__}: {exc}); "
            "define its class in a module, and open sessions and files in prepare()"
        ) from exc


def reads_of_operations(operations: Operations | None) -> tuple[Path, ...]:
    """Return the files that operations declare, and the locations of their modules."""
    paths: list[Path] = []
    for operation in (operations or {}).values():
        paths += [path.absolute() for path in operation.reads]
        top = sys.modules[operation.params.__module__.partition(".")[0]]
        # An editable installation may keep it outside Python's path.
        paths += [Path(place) for place in getattr(top, "__path__", None) or [top.__file__] if place]
    return tuple(dict.fromkeys(paths))


def wear_of(operations: Operations, produced: Produced) -> int:
    """Return for how many frames a library has run whose memory grows."""
    ran = [end.op for end in produced.steps if end.status == "done"]
    return produced.info.frames * sum(operations[op].grows for op in ran)
