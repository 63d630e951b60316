"""Every line that ends in ``# E`` must be a type error, and no other line may be one."""

from mediagate import Job, JobState, Key, MediaGate, Source, plugin

CACHE: Key[dict[str, int]] = Key("CACHE")


@plugin("thumbs")
async def thumbs(gate: MediaGate, *, width: int, name: str = "x") -> None: ...


def not_async(gate: MediaGate) -> None: ...


async def uploaded(job: Job) -> None: ...


async def ended(state: JobState) -> None: ...


def host() -> None:
    gate = MediaGate(sources={"avatar": Source()})
    gate.register(thumbs)  # E
    gate.register(thumbs, width="3")  # E
    gate.register(thumbs, width=3, depth=2)  # E
    gate.register(not_async)  # E
    gate.decorate(CACHE, ["a"])  # E
    gate.add_hook("on_done", host)  # E
    gate.add_hook("on_uploaded", ended)  # E
    gate.add_hook("on_end", uploaded)  # E
    gate.add_hook("pre_verdict", uploaded)  # E
    gate.add_hook("pre_erase", uploaded)  # E
    gate.add_hook("pre_export", ended)  # E
    MediaGate()  # E
    Source(animation="loop")  # E
    Source(max_byte=3)  # E
