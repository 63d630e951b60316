"""Hooks: the named points in an upload's life.

``pre_*`` and ``on_ready`` stop at the first error, which refuses what was about to happen. An error in any other
``on_*`` is logged, and the next hook still runs. Hooks run in the order they were added.

Where callers are asked who they are, ``pre_authorize(request, action)`` runs before that, on every route that asks, and
``on_unauthorized(request, action)`` when the answer is that nobody knows.

An upload over HTTP passes ``pre_receive(request, principal)`` before its body is read, ``pre_file(request,
source_type)`` as soon as the form has named its source (before the file comes, where that stands last), and
``on_received(request, received, job)`` when its body is done with, however that ended: ``received`` counts the bytes of
the body, ``job`` is the one that was recorded for it, if any. A direct upload passes them at each of its requests: with
its bytes when they are sent to the gate, or when it is completed if a storage took them. What these put into the dict
``request.state.answer_headers`` goes out with the answer.

A job ends with ``on_complete``, ``on_rejected``, ``on_failed`` or ``on_cancelled``, and then ``on_end``, each with its
``JobState``. They run at least once: a process that dies between them has them run again by another.

A direct upload passes ``pre_declare(upload)`` when it is declared, before it is recorded and its URL is made, over HTTP
and from Python; ``pre_upload`` when it is completed, like every other.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal, get_args

from mediagate.errors import PluginError

log = logging.getLogger("mediagate.hooks")

AuthorizeHook = Literal["pre_authorize", "on_unauthorized"]
JobHook = Literal["on_uploaded", "pre_process"]
EndHook = Literal["on_complete", "on_rejected", "on_failed", "on_cancelled", "on_end"]
GateHook = Literal["on_ready", "on_close"]
HookName = Literal[
    "pre_authorize",
    "on_unauthorized",
    "pre_receive",
    "pre_file",
    "on_received",
    "pre_declare",
    "pre_upload",
    "on_uploaded",
    "pre_process",
    "pre_verdict",
    "pre_store",
    "on_complete",
    "on_rejected",
    "on_failed",
    "on_cancelled",
    "on_end",
    "on_deleted",
    "on_ready",
    "on_close",
]
HOOK_NAMES: tuple[HookName, ...] = get_args(HookName)
Done = Awaitable[None]
Hook = Callable[..., Done]


class Hooks:
    """The hooks of one gate."""

    def __init__(self) -> None:
        self._hooks: dict[str, list[Hook]] = {name: [] for name in HOOK_NAMES}

    def add(self, name: str, hook: Hook) -> None:
        """Append a hook; raises ``PluginError`` for a name that does not exist."""
        if name not in self._hooks:
            raise PluginError(f"no hook is called {name!r}; the hooks are: {', '.join(HOOK_NAMES)}")
        self._hooks[name].append(hook)

    def copy(self) -> Hooks:
        """Return hooks that can grow apart from these."""
        other = Hooks()
        other._hooks = {name: list(hooks) for name, hooks in self._hooks.items()}
        return other

    async def run(self, name: HookName, *args: Any) -> None:
        """Run the hooks of one name in order."""
        stops = name.startswith("pre_") or name == "on_ready"
        for hook in self._hooks[name]:
            try:
                await hook(*args)
            except Exception:
                if stops:
                    raise
                log.exception("hook %s: %r failed", name, hook, extra={"hook": name})
