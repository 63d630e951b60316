"""How a gate is put together: plugins, keys, hooks and what was registered; nothing of images."""

from mediagate.kernel.departure import Departure
from mediagate.kernel.hooks import HOOK_NAMES, Hook, HookName, Hooks
from mediagate.kernel.incoming import Incoming, closes_unread
from mediagate.kernel.lifecycle import Kernel
from mediagate.kernel.plugins import Key, Plugin, plugin
from mediagate.kernel.registry import Check, Registry

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
    "Registry",
    "closes_unread",
    "plugin",
]
