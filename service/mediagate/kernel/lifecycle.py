"""The kernel: the plugins, keys, hooks and resources of one gate, and the order in which it opens and closes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Literal, ParamSpec, Self, TypeVar, overload

from starlette.requests import Request

from mediagate.errors import PluginError
from mediagate.kernel.hooks import AuthorizeHook, Done, EndHook, GateHook, Hook, HookName, JobHook
from mediagate.kernel.incoming import Incoming
from mediagate.kernel.plugins import Key, Plugin, Registration, bind
from mediagate.kernel.registry import Check, Endpoint, ProblemForm, Registry
from mediagate.observe import Observer, Observers
from mediagate.values import (
    Action,
    DirectUpload,
    Erasure,
    Export,
    IncomingBatch,
    IncomingUpload,
    Job,
    JobState,
    Media,
    Principal,
    Rendered,
    Verdict,
)

P = ParamSpec("P")
T = TypeVar("T")

BY_HOST = "it was opened by `async with gate`, gate.open() or a lifespan; use one of them"
LEFT_OPEN = "the gate is still open: close its app, or leave `async with gate`, in the block that replaces its parts"


class Kernel:
    """The base of a gate: accepts registrations until it opens, and closes everything in reverse order."""

    def __init__(self) -> None:
        self._host = Registry()
        self._registry = self._host
        self._state: Literal["closed", "booting", "open", "closing"] = "closed"
        self._stack = AsyncExitStack()
        self._opener = BY_HOST

    # -- before it is open

    def register(self, plugin: Plugin[Self, P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Register a plugin; raises ``PluginError`` for wrong options. Nested plugins boot after the outer one."""
        registration = bind(plugin, *args, **kwargs)
        self._growing("register").plugins.append(registration)

    def decorate(self, key: Key[T], value: T) -> None:
        """Provide a value under a typed key, such as ``STORAGE``; raises ``PluginError`` if the key is taken.

        A key with ``join`` takes several values.
        """
        self._growing("decorate").provide(key, value)

    @overload
    def add_hook(self, name: AuthorizeHook, hook: Callable[[Request, Action], Done]) -> None: ...
    @overload
    def add_hook(self, name: Literal["pre_receive"], hook: Callable[[Incoming, Principal | None], Done]) -> None: ...
    @overload
    def add_hook(self, name: Literal["pre_file"], hook: Callable[[Incoming, str], Done]) -> None: ...
    @overload
    def add_hook(self, name: Literal["on_received"], hook: Callable[[Incoming, int, Job | None], Done]) -> None: ...
    @overload
    def add_hook(self, name: Literal["pre_declare"], hook: Callable[[DirectUpload], Done]) -> None: ...
    @overload
    def add_hook(self, name: Literal["pre_upload"], hook: Callable[[IncomingUpload], Done]) -> None: ...
    @overload
    def add_hook(self, name: Literal["pre_batch"], hook: Callable[[IncomingBatch], Done]) -> None: ...
    @overload
    def add_hook(self, name: JobHook, hook: Callable[[Job], Done]) -> None: ...
    @overload
    def add_hook(self, name: Literal["pre_verdict"], hook: Callable[[Job, Verdict], Done]) -> None: ...
    @overload
    def add_hook(self, name: Literal["pre_store"], hook: Callable[[Job, Rendered], Done]) -> None: ...
    @overload
    def add_hook(self, name: EndHook, hook: Callable[[JobState], Done]) -> None: ...
    @overload
    def add_hook(self, name: Literal["on_deleted"], hook: Callable[[Media], Done]) -> None: ...
    @overload
    def add_hook(self, name: Literal["pre_erase"], hook: Callable[[Erasure], Done]) -> None: ...
    @overload
    def add_hook(self, name: Literal["pre_export"], hook: Callable[[Export], Done]) -> None: ...
    @overload
    def add_hook(self, name: GateHook, hook: Callable[[Self], Done]) -> None: ...

    def add_hook(self, name: HookName, hook: Hook) -> None:
        """Add a hook at a named point in an upload's life."""
        self._growing("add_hook").hooks.add(name, hook)

    def add_route(self, path: str, endpoint: Endpoint, *, methods: list[str]) -> None:
        """Add a route below the gate's mount; the core's own routes come first."""
        self._growing("add_route").add_route(path, endpoint, methods)

    def add_problem_form(self, path: str, form: ProblemForm) -> None:
        """Answer errors of requests below a path in another form than RFC 9457; the nearest path decides."""
        self._growing("add_problem_form").add_problem_form(path, form)

    def problem_form(self, path: str) -> ProblemForm | None:
        """Return the form of the errors of a route's path, ``None`` for RFC 9457."""
        return self._registry.problem_form(path)

    def add_check(self, part: str, check: Check) -> None:
        """Add a line to ``mediagate doctor``."""
        self._growing("add_check").checks[part] = check

    def guard_hosts(self) -> None:
        """Refuse foreign host names on loopback addresses unless ``AUTHORIZE`` is provided; call before the gate opens.

        Another site can resolve its own name to 127.0.0.1, and its pages can then read the responses of the gate.
        """
        self._growing("guard_hosts").guards_hosts = True

    @property
    def checks(self) -> Mapping[str, Check]:
        """The checks that plugins added to ``mediagate doctor``."""
        return self._registry.checks

    def observe(self, observer: Observer) -> None:
        """Add an observer; call it before the gate opens, or inside a plugin."""
        self._growing("observe").observers.append(observer)

    @property
    def observer(self) -> Observer:
        """A composite of all observers, for plugins that report events from ``on_ready`` on."""
        return Observers(self._registry.observers)

    async def enter(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Open a resource that closes with the gate in reverse order; only inside a plugin or ``on_ready``."""
        if self._state != "booting":
            raise PluginError("enter() works only while the gate boots: call it inside a plugin or an on_ready hook")
        return await self._stack.enter_async_context(resource)

    def __getitem__(self, key: Key[T]) -> T:
        """Return the value of a key; raises ``PluginError`` if it is not provided (yet)."""
        try:
            value: T = self._registry.values[key]
        except KeyError:
            raise PluginError(f"{key.name} is not provided; the core's defaults exist from on_ready on") from None
        return value

    def _growing(self, verb: str) -> Registry:
        if self._state in ("open", "closing"):
            raise PluginError(f"{verb}() was called after boot; call it before the app starts, or inside a plugin")
        return self._registry

    # -- opening and closing

    @property
    def closing(self) -> bool:
        """Whether the gate is closing and refuses uploads."""
        return self._state == "closing"

    async def open(self) -> None:
        """Boot the plugins and open all parts; raises ``ConfigError`` or ``PluginError`` after closing them again."""
        self._begin_booting()
        hooks = self._registry.hooks
        try:
            await self._prepare(self._stack)
            await self._boot(self._registry.plugins, set())
            await self._assemble(self._stack)
            self._stack.push_async_callback(hooks.run, "on_close", self)
            await hooks.run("on_ready", self)
            await self._start(self._stack)
        except BaseException:
            await self._unwind()
            raise
        self._state = "open"

    async def close(self) -> None:
        """Refuse uploads, drain the running jobs, close everything in reverse order; idempotent."""
        if self._state not in ("open", "closing"):
            return
        self.begin_closing()
        await self._unwind()

    def begin_closing(self) -> None:
        """Accept no more work from now on; ``close`` completes the shutdown."""
        if self._state == "open":
            self._state = "closing"

    @asynccontextmanager
    async def _booted(self) -> AsyncIterator[None]:
        """Boot the plugins for the length of the block without opening the parts."""
        self._begin_booting()
        try:
            await self._boot(self._registry.plugins, set())
            yield
        finally:
            await self._unwind()

    async def _prepare(self, stack: AsyncExitStack) -> None:
        """Start slow preparations, concurrently with the boot of the plugins."""

    async def _assemble(self, stack: AsyncExitStack) -> None:
        """Open the parts, with defaults for those that no plugin provides."""

    async def _start(self, stack: AsyncExitStack) -> None:
        """Start the background work."""

    def _begin_booting(self) -> None:
        if self._state != "closed":
            raise PluginError(f"the gate is already open: {self._opener}")
        self._opener = BY_HOST
        self._state = "booting"
        self._registry = self._host.copy()
        self._stack = AsyncExitStack()

    async def _boot(self, level: list[Registration], booted: set[str]) -> None:
        for registration in list(level):
            if registration.name in booted and not registration.repeatable:
                raise PluginError(f"plugin {registration.name!r} is registered twice; remove one of the two")
            if self._registry.leaves_out(registration):
                booted.add(registration.name)
                continue
            missing = [name for name in registration.requires if name not in booted]
            if missing:
                raise PluginError(
                    f"plugin {registration.name!r} requires {', '.join(missing)}; register that first, "
                    "because plugins boot in order"
                )
            self._registry.plugins = []
            await registration.start(self)
            booted.add(registration.name)
            await self._boot(self._registry.plugins, booted)
            if absent := set(registration.provides) - {key.name for key in self._registry.values}:
                raise PluginError(
                    f"plugin {registration.name!r} does not provide {', '.join(sorted(absent))} although it declares "
                    "to; call decorate() or remove the declaration"
                )

    async def _unwind(self) -> None:
        try:
            await self._stack.aclose()
        finally:
            self._registry, self._state = self._host, "closed"

    @contextmanager
    def _instead(self, host: Registry) -> Iterator[None]:
        """Replace the registrations of a closed gate within a block; raises ``PluginError`` if the gate is open."""
        if self._state != "closed":
            raise PluginError(f"the gate is already open: {self._opener}")
        kept = self._host
        self._host = self._registry = host
        try:
            yield
            if self._state != "closed":
                raise PluginError(LEFT_OPEN)
        finally:
            self._host = self._registry = kept

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Serve as the host's lifespan: ``Starlette(lifespan=gate.lifespan)``, or ``async with`` inside its own."""
        async with self:
            yield
