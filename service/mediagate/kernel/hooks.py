"""Hooks: the named extension points in an upload's life.

An error in a ``pre_*`` or ``on_ready`` hook aborts the operation and skips the remaining hooks. An error in any other
``on_*`` hook is logged, and the next hook still runs. Hooks run in the order in which they were added.

With access control, ``pre_authorize(request, action)`` runs before the authentication on every protected route, and
``on_unauthorized(request, action)`` after it failed.

For an upload over HTTP, ``pre_receive(request, principal)`` runs before its body is read. ``pre_file(request,
source_type)`` runs as soon as the form has named its source, which is before the file if the file is the last part.
``on_received(request, received, job)`` runs when the reception has ended, successfully or not: ``received`` counts the
bytes of the body, ``job`` is the recorded job, if any. A direct upload runs them in each of its requests; its bytes
count when they are sent to the gate, or on completion if they were sent to a storage. Headers that these hooks put
into the dict ``request.state.answer_headers`` are added to the response.

For a batch, ``pre_batch(batch)`` runs once before the ``pre_upload`` of the inputs of its jobs.

When a job ends, ``on_complete``, ``on_rejected``, ``on_failed`` or ``on_cancelled`` runs, then ``on_end``, each with
the ``JobState``. They run at least once: if a process dies in between, another process runs them again.

For a direct upload, ``pre_declare(upload)`` runs when it is declared over HTTP or from Python, before it is recorded
and its URL is created; ``pre_upload`` runs on completion, as for every other upload.

``pre_erase(erasure)`` runs when an owner's data is erased, before the core's is: a plugin that stores data of owners
deletes it there. ``pre_export(export)`` runs when it is exported: such a plugin adds its data to the archive.
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
    "pre_batch",
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
    "pre_erase",
    "pre_export",
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
        """Append a hook; raises ``PluginError`` for an unknown name."""
        if name not in self._hooks:
            raise PluginError(f"unknown hook {name!r}; use one of: {', '.join(HOOK_NAMES)}")
        self._hooks[name].append(hook)

    def copy(self) -> Hooks:
        """Return an independent copy."""
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
                log.exception("hook %s failed: %r", name, hook, extra={"hook": name})
