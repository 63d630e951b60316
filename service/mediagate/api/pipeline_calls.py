"""The calls of an open gate for pipelines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from mediagate.api import jobs, pipelines
from mediagate.api.pipelines import PipelineSources
from mediagate.api.runtime import Runtime
from mediagate.intake import SOURCE_ID, PipelineOrder
from mediagate.values import Status, check_owner


class PipelineCalls(ABC):
    """Ordered operations on pictures; their jobs are read, awaited, cancelled and deleted like those of uploads."""

    @property
    @abstractmethod
    def runtime(self) -> Runtime:
        """The open gate's parts and loops."""

    async def pipeline(
        self,
        inputs: PipelineSources,
        *,
        steps: Sequence[Mapping[str, Any]],
        source: str,
        source_id: str | int = SOURCE_ID,
        preset: str | None = None,
        ttl: timedelta | None = None,
        client_reference_id: str | None = None,
        callback_url: str | None = None,
        owner: str | None = None,
        idempotency_key: str | None = None,
    ) -> Status:
        """Accept pictures and the steps to run on them, and return their PENDING job.

        ``inputs`` is one picture as for ``upload``, or the id of a media of the same owner; or several of these, in a
        list, or with the names by which steps refer to them. Names in a list are ``input0`` and so on. ``source`` is a
        private source with ``ttl``, whose limits and thresholds hold for inputs and outputs; ``ttl`` is the retention
        of the outputs, at most that of the source. ``preset`` is recorded. Under a reused ``idempotency_key``, the same
        order returns the job of the first one. Raises ``InvalidPipeline`` with every fault of the steps,
        ``MediaNotFound``, ``ConfigError`` if the gate runs no pipelines, and the errors of ``upload``.
        """
        check_owner(owner)
        order = await pipelines.make_order(
            inputs,
            self.runtime,
            steps=steps,
            source=source,
            source_id=source_id,
            preset=preset,
            ttl=ttl,
            client_reference_id=client_reference_id,
            callback_url=callback_url,
            owner=owner,
        )
        return await self.order_pipeline(order, owner=owner, idempotency_key=idempotency_key)

    async def order_pipeline(
        self,
        order: PipelineOrder,
        *,
        owner: str | None = None,
        key_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Status:
        """Accept an order whose recipe is checked, and return its PENDING job; else as ``pipeline``.

        ``key_id`` is the credential of the caller, if an owner can have several.
        """
        runtime = self.runtime
        job, made = await runtime.intake.order(order, owner=owner, key_id=key_id, idempotency_key=idempotency_key)
        return Status(job, None) if made else await jobs.get_status(job.id, runtime)
