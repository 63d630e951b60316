"""The registry of a gate: plugins in order, provided values, hooks and routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mediagate.errors import MediagateError, PluginError
from mediagate.kernel.hooks import Hooks
from mediagate.kernel.plugins import Key, Registration
from mediagate.observe import Observer

Endpoint = Callable[[Request], Awaitable[Response]]
Check = Callable[[], Awaitable[str]]
"""Checks a part by using it; returns one line, or raises ``MediagateError`` with the fix."""
ProblemForm = Callable[[MediagateError], tuple[int, Mapping[str, Any]]]
"""Returns the HTTP status code and the JSON object of the response to an error."""


@dataclass(slots=True)
class Registry:
    """The registrations of a gate; each opening works on a copy of the host's own, so a gate can be reopened."""

    plugins: list[Registration] = field(default_factory=list)
    values: dict[Key[Any], Any] = field(default_factory=dict)
    hooks: Hooks = field(default_factory=Hooks)
    routes: list[Route] = field(default_factory=list)
    checks: dict[str, Check] = field(default_factory=dict)
    observers: list[Observer] = field(default_factory=list)
    problem_forms: dict[str, ProblemForm] = field(default_factory=dict)
    """By the path below which they hold."""
    guards_hosts: bool = False
    """Whether requests to a loopback address must name an allowed host."""
    replaced: frozenset[str] = frozenset()
    """Names of the parts that a test replaces; plugins that provide one of them do not boot."""
    without: frozenset[str] = frozenset()
    """Names of further plugins that do not boot."""

    def copy(self) -> Registry:
        """Return an independent copy."""
        return Registry(
            list(self.plugins),
            dict(self.values),
            self.hooks.copy(),
            list(self.routes),
            checks=dict(self.checks),
            observers=list(self.observers),
            problem_forms=dict(self.problem_forms),
            guards_hosts=self.guards_hosts,
            replaced=self.replaced,
            without=self.without,
        )

    def leaves_out(self, plugin: Registration) -> bool:
        """Return whether a plugin is excluded from booting."""
        return plugin.name in self.without or not self.replaced.isdisjoint(plugin.provides)

    def provide(self, key: Key[Any], value: Any) -> None:
        """Store a value under its key, or join it with the one that is there.

        Raises ``PluginError`` if the key is taken and cannot be joined.
        """
        if key.name in self.replaced:
            raise PluginError(
                f"{key.name} is replaced in this test; declare it in provides=(…) of the plugin that decorates it, or "
                "exclude the plugin (isolated(…, without=…))"
            )
        if key in self.values and key.join is not None:
            self.values[key] = key.join(self.values[key], value)
            return
        if key in self.values:
            raise PluginError(
                f"{key.name} is already provided by {self.values[key]!r}; register only one plugin that provides it"
            )
        self.values[key] = value

    def problem_form(self, path: str) -> ProblemForm | None:
        """Return the form of the errors of a route's path, ``None`` for RFC 9457."""
        above = [below for below in self.problem_forms if f"{path}/".startswith(f"{below}/")]
        return self.problem_forms[max(above, key=len)] if above else None

    def add_problem_form(self, path: str, form: ProblemForm) -> None:
        """Add the form of the errors below a path; raises ``PluginError`` if the path has one."""
        if path in self.problem_forms:
            raise PluginError(f"{path!r} already has a form of errors; choose another path")
        self.problem_forms[path] = form

    def add_route(self, path: str, endpoint: Endpoint, methods: list[str]) -> None:
        """Add a route; raises ``PluginError`` for a path that has no leading slash or is taken."""
        if not path.startswith("/"):
            raise PluginError(f"route {path!r} has no leading slash; add it")
        if any(r.path == path and set(methods) & (r.methods or set()) for r in self.routes):
            raise PluginError(f"route {path!r} already exists; choose another path")
        self.routes.append(Route(path, endpoint, methods=methods))
