"""The kernel of a gate: plugins, keys, hooks and the registry, independent of images."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mediagate.kernel.hooks import HOOK_NAMES, Hook, HookName, Hooks
from mediagate.kernel.plugins import Key, Plugin, plugin

if TYPE_CHECKING:
    from mediagate.kernel.departure import Departure
    from mediagate.kernel.incoming import Incoming, closes_unread
    from mediagate.kernel.lifecycle import Kernel
    from mediagate.kernel.registry import Check, ProblemForm, Registry

_LATER = {
    "Check": "registry",
    "Departure": "departure",
    "Incoming": "incoming",
    "Kernel": "lifecycle",
    "ProblemForm": "registry",
    "Registry": "registry",
    "closes_unread": "incoming",
}
"""Imported lazily: image processes import the modules of plugins and need no web code."""

__all__ = [
    "HOOK_NAMES",
    "Check",
    "Departure",
    "Hook",
    "HookName",
    "Hooks",
    "Incoming",
    "Kernel",
    "Key",
    "Plugin",
    "ProblemForm",
    "Registry",
    "closes_unread",
    "plugin",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
