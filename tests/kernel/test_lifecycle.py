"""The kernel: boot order, plugin requirements, close in reverse order, no registration after boot."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from mediagate import MODERATOR, QUEUE, RECORDS, STORAGE, JobState, Key, MediaGate, Source, plugin
from mediagate.errors import ConfigError, PluginError, RecordsUnavailable
from mediagate.records import MemoryRecords
from tests.support import poison
from tests.support.poison import Poison

pytestmark = pytest.mark.anyio

GREETING: Key[str] = Key("GREETING")
MakeGate = Callable[..., MediaGate]


def note(events: list[str], name: str) -> AbstractAsyncContextManager[None]:
    @asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        events.append(f"open {name}")
        yield
        events.append(f"close {name}")

    return resource()


async def test_plugins_boot_children_before_siblings_and_close_in_reverse(make_gate: MakeGate) -> None:
    events: list[str] = []

    @plugin("child")
    async def child(gate: MediaGate) -> None:
        await gate.enter(note(events, "child"))

    @plugin("first")
    async def first(gate: MediaGate) -> None:
        gate.register(child)
        await gate.enter(note(events, "first"))

    @plugin("second", requires=("first", "child"))
    async def second(gate: MediaGate) -> None:
        await gate.enter(note(events, "second"))

    gate = make_gate()
    gate.register(first)
    gate.register(second)
    async with gate:
        events.append("serving")
    assert events == [
        "open first",
        "open child",
        "open second",
        "serving",
        "close second",
        "close child",
        "close first",
    ]


async def test_failed_boot_closes_opened_resources_and_gate_can_be_reopened(
    make_gate: MakeGate,
) -> None:
    events: list[str] = []
    broken = True

    @plugin("solid")
    async def solid(gate: MediaGate) -> None:
        await gate.enter(note(events, "solid"))

    @plugin("shaky")
    async def shaky(gate: MediaGate) -> None:
        if broken:
            raise RuntimeError("no luck")

    gate = make_gate()
    gate.register(solid)
    gate.register(shaky)
    with pytest.raises(RuntimeError, match="no luck"):
        await gate.open()
    assert events == ["open solid", "close solid"]
    broken = False
    async with gate:
        assert events[-1] == "open solid"
    assert events == ["open solid", "close solid"] * 2


async def test_on_ready_hook_sees_the_defaults_and_its_error_stops_the_boot(make_gate: MakeGate) -> None:
    seen: list[object] = []

    async def ready(gate: MediaGate) -> None:
        seen.append(gate[QUEUE])

    gate = make_gate()
    gate.add_hook("on_ready", ready)
    async with gate:
        assert seen[0] is gate.parts.queue
        assert gate[STORAGE] and gate[RECORDS]

    async def fails(gate: MediaGate) -> None:
        raise RuntimeError("not ready")

    gate.add_hook("on_ready", fails)
    with pytest.raises(RuntimeError, match="not ready"):
        await gate.open()


async def test_plugin_registered_before_its_requirement_is_refused(make_gate: MakeGate) -> None:
    @plugin("late")
    async def late(gate: MediaGate) -> None: ...

    @plugin("needy", requires=("late",))
    async def needy(gate: MediaGate) -> None: ...

    gate = make_gate()
    gate.register(needy)
    gate.register(late)
    with pytest.raises(PluginError, match="'needy' requires late; register that first"):
        await gate.open()


async def test_plugin_registered_twice_is_refused(make_gate: MakeGate) -> None:
    @plugin("one")
    async def one(gate: MediaGate) -> None: ...

    gate = make_gate()
    gate.register(one)
    gate.register(one)
    with pytest.raises(PluginError, match="registered twice"):
        await gate.open()


async def test_repeatable_plugin_boots_each_time_it_is_registered(make_gate: MakeGate) -> None:
    booted: list[int] = []

    @plugin("many", repeatable=True)
    async def many(gate: MediaGate, *, number: int) -> None:
        booted.append(number)

    gate = make_gate()
    gate.register(many, number=1)
    gate.register(many, number=2)
    async with gate:
        assert booted == [1, 2]


def test_key_with_a_join_is_provided_by_several_plugins(make_gate: MakeGate) -> None:
    sentence = Key[str]("SENTENCE", join="{} {}".format)
    gate = make_gate()
    for word in ("pictures", "of", "cats"):
        gate.decorate(sentence, word)
    assert gate[sentence] == "pictures of cats"


def test_register_raises_on_wrong_plugin_options(make_gate: MakeGate) -> None:
    @plugin("sized")
    async def sized(gate: MediaGate, *, width: int, height: int = 3) -> None: ...

    gate = make_gate()
    untyped: Any = gate  # as in code that is not type-checked
    with pytest.raises(PluginError, match=r"missing.*width.*available options: width, height"):
        untyped.register(sized)
    with pytest.raises(PluginError, match="unexpected keyword argument 'depth'"):
        untyped.register(sized, width=1, depth=2)
    gate.register(sized, width=1)


async def test_registration_after_boot_raises_plugin_error(make_gate: MakeGate) -> None:
    @plugin("tardy")
    async def tardy(gate: MediaGate) -> None: ...

    async def page(request: Request) -> Response:
        return Response()

    async def ended(state: JobState) -> None: ...

    async with make_gate() as gate:
        late_calls: list[Callable[[], None]] = [
            lambda: gate.register(tardy),
            lambda: gate.decorate(GREETING, "hello"),
            lambda: gate.add_hook("on_complete", ended),
            lambda: gate.add_route("/x", page, methods=["GET"]),
        ]
        for late in late_calls:
            with pytest.raises(PluginError, match="after boot"):
                late()
        with pytest.raises(PluginError, match="while the gate boots"):
            await gate.enter(note([], "late"))


async def test_decorated_value_is_found_by_its_key_and_provided_once(make_gate: MakeGate) -> None:
    gate = make_gate()
    with pytest.raises(PluginError, match="GREETING is not provided"):
        gate[GREETING]
    gate.decorate(GREETING, "hello")
    assert gate[GREETING] == "hello"
    with pytest.raises(PluginError, match="already provided"):
        gate.decorate(GREETING, "again")


def test_add_hook_raises_on_unknown_name_and_lists_the_hooks(make_gate: MakeGate) -> None:
    async def hook() -> None: ...

    untyped: Any = make_gate()  # as in code that is not type-checked
    with pytest.raises(PluginError, match=r"unknown hook 'on_done'; use one of: .*pre_upload, .*on_close"):
        untyped.add_hook("on_done", hook)


async def test_boot_without_moderator_fails_and_names_the_fix(make_gate: MakeGate) -> None:
    with pytest.raises(ConfigError, match=r'no moderator is registered.*moderation="off"'):
        await make_gate(moderation="on").open()


async def test_moderation_off_with_thresholds_is_a_config_error(make_gate: MakeGate) -> None:
    gate = make_gate(sources={"avatar": Source(reject={"explicit": 0.5})})
    with pytest.raises(ConfigError, match="avatar"):
        await gate.open()


def test_config_error_lists_all_problems_at_once() -> None:
    wrong: dict[str, Any] = {"max_bytes": 0, "animation": "loop", "reject": {"explicit": 2}}
    with pytest.raises(ConfigError) as caught:
        Source(**wrong)
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigError, match="at least one"):
        MediaGate(sources={}, moderation="off")
    with pytest.raises(ConfigError, match=r"\.\./etc"):
        MediaGate(sources={"../etc": Source()}, moderation="off")


async def test_open_of_lazily_opened_gate_raises_and_names_the_cause(make_gate: MakeGate) -> None:
    gate = make_gate()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://gate") as client:
        assert (await client.get("/healthz")).status_code == 200
    try:
        for opened in (gate, gate.lifespan()):
            with pytest.raises(PluginError, match=r"the first request opened it.*lifespan=gate\.lifespan"):
                async with opened:
                    pass
    finally:
        await gate.close()
    async with gate:
        with pytest.raises(PluginError, match="already open: it was opened by `async with gate`"):
            await gate.open()


async def test_close_is_idempotent_and_second_open_raises(make_gate: MakeGate) -> None:
    gate = make_gate()
    await gate.open()
    with pytest.raises(PluginError, match="already open"):
        await gate.open()
    await gate.close()
    await gate.close()
    with pytest.raises(PluginError, match="not open"):
        _ = gate.parts


async def test_gates_in_one_process_are_isolated(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate() as one, make_gate() as other:
        done = await one.upload(photo, source_type="avatar", source_id="u1")
        await one.wait(done.job_id)
        assert len((await one.list_media("avatar")).items) == 1
        assert len((await other.list_media("avatar")).items) == 0


def test_moderator_key_repr_contains_its_name() -> None:
    assert repr(MODERATOR) == "Key('MODERATOR')"


async def test_failed_open_leaves_no_records_or_processes_open(make_gate: MakeGate) -> None:
    before = own_processes()

    def make_gate_with_own_processes(**settings: Any) -> MediaGate:
        gate = make_gate(memory=False, **settings)
        gate.fork_server = None
        return gate

    class Down(MemoryRecords):
        async def open(self) -> None:
            raise RecordsUnavailable("no such host")

    class Watched(MemoryRecords):
        closed = False

        async def close(self) -> None:
            self.closed = True

    gate = make_gate_with_own_processes()
    gate.decorate(RECORDS, Down())
    with pytest.raises(RecordsUnavailable, match="no such host"):
        await gate.open()
    watched = Watched()
    gate = make_gate_with_own_processes(moderation="on")
    gate.decorate(RECORDS, watched)
    gate.decorate(MODERATOR, Poison(at_start=poison.fail))
    with pytest.raises(ConfigError, match="cannot read"):
        await gate.open()
    assert watched.closed
    assert own_processes() == before, "a process was left running"


def own_processes() -> str:
    return "".join(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
