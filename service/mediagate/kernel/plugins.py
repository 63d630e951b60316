"""Plugins, which extend a gate, and keys, which name its values with their types.

A plugin is an async function of the gate; its keyword parameters are its options. The model is Fastify's: plugins boot
in registration order, and plugins registered by a plugin boot after it returns and before its next sibling.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from mediagate.errors import PluginError

G = TypeVar("G")
P = ParamSpec("P")
T = TypeVar("T")


class Key(Generic[T]):
    """A typed name for a value on a gate: ``gate.decorate(KEY, value)``, then ``gate[KEY]``.

    ``join`` makes one value of two, so that several plugins can provide the key; without it, one plugin can.
    """

    def __init__(self, name: str, *, join: Callable[[T, T], T] | None = None) -> None:
        self.name = name
        self.join = join

    def __repr__(self) -> str:
        return f"Key({self.name!r})"


@dataclass(frozen=True, slots=True)
class Plugin(Generic[G, P]):
    """A plugin, made by ``@plugin`` and called by ``gate.register``."""

    name: str
    requires: tuple[str, ...]
    provides: tuple[str, ...]
    start: Callable[Concatenate[G, P], Awaitable[None]]
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """A plugin bound to its options."""

    name: str
    requires: tuple[str, ...]
    provides: tuple[str, ...]
    start: Callable[[Any], Awaitable[None]]
    """Called with the gate to boot the plugin."""
    repeatable: bool = False


def plugin(
    name: str, *, requires: tuple[str, ...] = (), provides: tuple[str, ...] = (), repeatable: bool = False
) -> Callable[[Callable[Concatenate[G, P], Awaitable[None]]], Plugin[G, P]]:
    """Turn an async function of the gate into a plugin.

    ``requires`` names plugins that must have booted before; it is checked, not resolved. ``provides`` names the parts
    that the plugin decorates, such as ``("STORAGE",)``; if a test replaces one of them, the plugin does not boot. A
    ``repeatable`` plugin may be registered several times on one gate.
    """

    def wrap(start: Callable[Concatenate[G, P], Awaitable[None]]) -> Plugin[G, P]:
        if not inspect.iscoroutinefunction(start):
            raise PluginError(f"plugin {name!r} is not an async function; write it as `async def`")
        return Plugin(name, requires, provides, start, repeatable)

    return wrap


def bind(plugin: Plugin[G, P], *args: P.args, **kwargs: P.kwargs) -> Registration:
    """Bind options to a plugin; raises ``PluginError`` for a missing or unknown option."""
    if not isinstance(plugin, Plugin):
        raise PluginError(f"register() takes a function decorated with @plugin(...), not {plugin!r}")
    signature = inspect.signature(plugin.start)
    try:
        signature.bind(None, *args, **kwargs)
    except TypeError as exc:
        takes = ", ".join(list(signature.parameters)[1:]) or "none"
        raise PluginError(f"plugin {plugin.name!r}: {exc}; available options: {takes}") from None
    return Registration(
        plugin.name,
        plugin.requires,
        plugin.provides,
        lambda gate: plugin.start(gate, *args, **kwargs),
        plugin.repeatable,
    )
