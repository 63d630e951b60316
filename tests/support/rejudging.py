"""Gates with a small real model on one database and storage, whose models and thresholds change between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mediagate import (
    EVENTS,
    RECORDS,
    STORAGE,
    EventType,
    MediaGate,
    RejudgeAction,
    Rejudgement,
    Rejudging,
    Settings,
    Source,
    Status,
)
from mediagate.images import ForkServer
from mediagate.records import MemoryRecords
from mediagate.storage import FilesystemStorage, MemoryStorage
from mediagate_plugins.onnx_moderation import onnx_moderation
from tests.support.channel_model import LABELS, channel_model
from tests.support.load import stretched

TOLERANT, STRICT = Source(reject={"red": 0.99}), Source(reject={"red": 0.5})
FASTEST = 60_000
"""The highest rate of a pass."""


@dataclass
class Place:
    """A database and a storage, on which a test opens one gate after the other."""

    data_dir: Path
    model: Path
    server: ForkServer
    connect: Callable[[MediaGate], None]
    """Registers records and storage."""
    settings: dict[str, Any] = field(default_factory=dict)

    def gate(
        self, source: Source = STRICT, *, model: Path | None = None, worker: bool = True, **settings: Any
    ) -> MediaGate:
        """Make a gate with one source, ``avatar``, and an outbox."""
        gate = MediaGate(
            sources={"avatar": source},
            settings=Settings(
                data_dir=self.data_dir,
                migrate=True,
                worker=worker,
                **{"image_processes": 1, "retry_backoff_s": 0.05, **self.settings, **settings},
            ),
        )
        gate.fork_server = self.server
        gate.decorate(EVENTS, tuple(EventType))
        gate.register(onnx_moderation, name="colours", model=model or self.model, labels=LABELS)
        self.connect(gate)
        return gate

    async def publish(self, *files: bytes, source: Source = TOLERANT) -> list[Status]:
        """Publish pictures that a tolerant gate allows."""
        async with self.gate(source) as gate:
            sent = [await gate.upload(file, source_type="avatar", source_id="u1", owner="ann") for file in files]
            return [await gate.wait(status.job_id, timeout_s=stretched(60)) for status in sent]


def place_in_memory(folder: Path, server: ForkServer) -> Place:
    """Return a place with records and files in memory."""
    records, storage = MemoryRecords(), MemoryStorage()

    def connect(gate: MediaGate) -> None:
        gate.decorate(RECORDS, records)
        gate.decorate(STORAGE, storage)

    return Place(folder / "data", channel_model(folder / "colours.onnx"), server, connect)


def place_on_disk(folder: Path, server: ForkServer, *, database: str) -> Place:
    """Return a place with a database and files, which processes share with the gate ``rejudged_gate``."""
    data_dir = folder / "data"
    data_dir.mkdir()

    def connect(gate: MediaGate) -> None:
        gate.decorate(STORAGE, FilesystemStorage(data_dir / "files"))

    model = channel_model(folder / "colours.onnx")
    return Place(data_dir, model, server, connect, {"database_url": database})


async def ended(gate: MediaGate, *rejudgings: Rejudging, timeout_s: float = 60) -> list[Rejudging]:
    """Wait for the end of passes."""
    async with asyncio.timeout(stretched(timeout_s)):
        while True:
            found = list(await gate.get_rejudgings(*(rejudging.id for rejudging in rejudgings)))
            if all(rejudging.done for rejudging in found):
                return found
            await asyncio.sleep(0.02)


async def rejudged(
    gate: MediaGate, action: RejudgeAction | str = "list", **options: Any
) -> tuple[Rejudging, dict[str, Rejudgement]]:
    """Judge everything again; return the pass, closed, and its results by job."""
    begun = await gate.rejudge("avatar", action=action, **{"rate": FASTEST, **options})
    (done,) = await ended(gate, *begun)
    results = await gate.list_rejudgements(rejudging_id=done.id)
    await gate.close_rejudging(done.id)
    return done, {one.job_id: one for one in results}
