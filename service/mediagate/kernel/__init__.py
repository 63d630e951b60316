"""How a gate is put together: plugins, keys, hooks and what was registered; nothing of images."""

from mediagate.kernel.departure import Departure
from mediagate.kernel.hooks import Hook, HookName, Hooks
from mediagate.kernel.plugins import Key, Plugin, bind, plugin
from mediagate.kernel.registry import Check, Endpoint, Registry

__all__ = ["Check", "Departure", "Endpoint", "Hook", "HookName", "Hooks", "Key", "Plugin", "Registry", "bind", "plugin"]
