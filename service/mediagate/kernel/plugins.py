"""Plugins and keys: how something is added to a gate, and how it is found again with its type.

A plugin is an async function of the gate; its keyword parameters are its options. The model is Fastify's: plugins boot
in registration order, and what a plugin registers boots after it returns and before its next sibling.
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
    """A typed name for something provided on a gate: ``gate.decorate(KEY, value)``, then ``gate[KEY]``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Key({self.name!r})"


@dataclass(frozen=True, slots=True)
class Plugin(Generic[G, P]):
    """A plugin as ``@plugin`` makes it; calling it yourself is never needed, ``gate.register`` does."""

    name: str
    requires: tuple[str, ...]
    provides: tuple[str, ...]
    start: Callable[Concatenate[G, P], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Registration:
    """A plugin with the options it was registered with."""

    name: str
    requires: tuple[str, ...]
    provides: tuple[str, ...]
    start: Callable[[Any], Awaitable[None]]
    """Called with the gate."""


def plugin(
    name: str, *, requires: tuple[str, ...] = (), provides: tuple[str, ...] = ()
) -> Callable[[Callable[Concatenate[G, P], Awaitable[None]]], Plugin[G, P]]:
    """Turn an async function of the gate into a plugin.

    ``requires`` names plugins that must have booted before; it is checked, never resolved. ``provides`` names the parts
    that it decorates, such as ``("STORAGE",)``: where a test has replaced one of them, the plugin does not boot.
    """

    def wrap(start: Callable[Concatenate[G, P], Awaitable[None]]) -> Plugin[G, P]:
        if not inspect.iscoroutinefunction(start):
            raise PluginError(f"plugin {name!r}: write it as `async def`")
        return Plugin(name, requires, provides, start)

    return wrap


def bind(plugin: Plugin[G, P], *args: P.args, **kwargs: P.kwargs) -> Registration:
    """Check the options against the plugin's signature; raises ``PluginError`` for a missing or unknown one."""
    if not isinstance(plugin, Plugin):
        raise PluginError(f"register() takes a function decorated with @plugin(...), not {plugin!r}")
    signature = inspect.signature(plugin.start)
    try:
        signature.bind(None, *args, **kwargs)
    except TypeError as exc:
        takes = ", ".join(list(signature.parameters)[1:]) or "none"
        raise PluginError(f"plugin {plugin.name!r}: {exc}; its options are: {takes}") from None
    return Registration(plugin.name, plugin.requires, plugin.provides, lambda gate: plugin.start(gate, *args, **kwargs))
