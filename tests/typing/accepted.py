"""Code of a host and of a plugin that must type-check."""

from typing import assert_type

from mediagate import (
    STORAGE,
    Erased,
    Erasure,
    Export,
    Exported,
    Job,
    JobState,
    Key,
    MediaGate,
    Source,
    Status,
    Storage,
    plugin,
)

CACHE: Key[dict[str, int]] = Key("CACHE")


@plugin("thumbs", requires=("other",))
async def thumbs(gate: MediaGate, *, width: int, name: str = "x") -> None:
    gate.decorate(CACHE, {"a": 1})
    gate.add_hook("on_uploaded", uploaded)
    gate.add_hook("on_end", ended)
    gate.add_hook("on_ready", ready)
    gate.add_hook("pre_erase", erase)
    gate.add_hook("pre_export", export)


async def uploaded(job: Job) -> None: ...


async def ended(state: JobState) -> None: ...


async def ready(gate: MediaGate) -> None: ...


async def erase(erasure: Erasure) -> None:
    erasure.add("thumbs", len(erasure.keys))


async def export(export: Export) -> None:
    export.add("thumbs", [{"owner": export.owner}])


async def host() -> None:
    gate = MediaGate(sources={"avatar": Source(reject={"explicit": 0.8})})
    gate.register(thumbs, width=3)
    gate.register(thumbs, width=3, name="y")
    assert_type(gate[STORAGE], Storage)
    assert_type(gate[CACHE], dict[str, int])
    assert_type(await gate.get_status("job"), Status)
    assert_type(await gate.erase(owner="ann"), Erased)
    assert_type(await gate.export(owner="ann", to="ann.zip"), Exported)
    assert_type(await gate.upload(b"", source_type="avatar", source_id="u"), Status)
