"""The answer to a scrape: the metrics of this process, or of all that share a folder, and the queue's current state."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
from prometheus_client import REGISTRY, CollectorRegistry, Metric, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

from mediagate import Records
from mediagate.errors import MediagateError

ASK_EVERY_S = 3.0
"""The longest age of the queue's figures, and so the shortest interval of database queries, regardless of scrapes."""
PATIENCE_S = 4.0
"""Time limit of the database query; Prometheus itself gives up after 10 s by default."""


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The figures of the queue, of all processes together; missing figures mean that the database did not answer."""

    depth: int | None = None
    oldest_s: float | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges, as a collector of prometheus_client."""
        yield GaugeMetricFamily(
            "mediagate_records_up", "Whether the database answered.", value=float(self.depth is not None)
        )
        if self.depth is not None:
            yield GaugeMetricFamily(
                "mediagate_queue_depth", "Waiting and running jobs of all processes.", value=self.depth
            )
        if self.oldest_s is not None:
            yield GaugeMetricFamily(
                "mediagate_queue_oldest_seconds",
                "Age of the oldest job without a first attempt; 0 when there is none.",
                value=self.oldest_s,
            )


class Exposition:
    """Answers scrapes. ``folder`` is the folder in which several processes share their metrics, if there is one."""

    def __init__(self, records: Records, folder: Path | None) -> None:
        self._records = records
        self._folder = folder
        self._queue = QueueFigures()
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def page(self, accept: str) -> tuple[bytes, str]:
        """Return the text in the format of the ``Accept`` header, and its content type."""
        queue = await self._asked()
        encode, content_type = choose_encoder(accept)
        return await anyio.to_thread.run_sync(lambda: encode(self._registry(queue))), content_type

    def _registry(self, queue: QueueFigures) -> CollectorRegistry:
        registry = CollectorRegistry(auto_describe=False, support_collectors_without_names=True)
        if self._folder is None:
            registry.register(REGISTRY)
        else:
            forget_dead(self._folder)
            multiprocess.MultiProcessCollector(registry, str(self._folder))
        registry.register(queue)
        return registry

    async def _asked(self) -> QueueFigures:
        async with self._asking:
            if time.monotonic() - self._asked_at >= ASK_EVERY_S:
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        depth = await self._records.queue_depth()
                        oldest = await self._records.oldest_waiting()
                        now = await self._records.now()
                except (MediagateError, TimeoutError):
                    self._queue = QueueFigures()
                else:
                    waited = max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
                    self._queue = QueueFigures(depth, waited)
                self._asked_at = time.monotonic()
        return self._queue


def forget_dead(folder: Path) -> None:
    """Delete the live gauges of ended processes; their counters remain."""
    for file in folder.glob("gauge_live*_*.db"):
        number = file.stem.rpartition("_")[2]
        if number.isdecimal() and not _alive(int(number)):
            with contextlib.suppress(FileNotFoundError):  # another process has deleted it
                multiprocess.mark_process_dead(int(number), str(folder))


def _alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
