"""The calls of an open gate for batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mediagate.api import batches
from mediagate.api.batches import BatchItem
from mediagate.api.runtime import Runtime
from mediagate.intake import SOURCE_ID
from mediagate.values import BatchState, check_owner


class BatchCalls(ABC):
    """Independent pipelines under one parent; their jobs are read, awaited, cancelled and deleted like all others."""

    @property
    @abstractmethod
    def runtime(self) -> Runtime:
        """The open gate's parts and loops."""

    async def batch(
        self,
        items: Sequence[BatchItem],
        *,
        source: str,
        source_id: str | int = SOURCE_ID,
        client_reference_id: str | None = None,
        callback_url: str | None = None,
        owner: str | None = None,
        idempotency_key: str | None = None,
    ) -> BatchState:
        """Accept 1 to 1,000 pipelines of one source as a batch and return it with their PENDING jobs: all, or none.

        ``callback_url`` is called once, when all jobs have ended. Under a reused ``idempotency_key``, the same items
        return the batch of the first call in its current state. Raises ``InvalidPipeline`` with the faults of all
        items, each with a JSON Pointer such as ``/jobs/3/steps/0/width``, ``InvalidParameter``, ``ConfigError`` if the
        gate runs no pipelines, and ``Unavailable``.
        """
        check_owner(owner)
        order = await batches.make_batch(
            items,
            self.runtime,
            source=source,
            source_id=source_id,
            client_reference_id=client_reference_id,
            callback_url=callback_url,
            owner=owner,
        )
        return await self.runtime.intake.batch(order, owner=owner, idempotency_key=idempotency_key)

    async def get_batch(self, batch_id: str, *, owner: str | None = None) -> BatchState:
        """Return a batch, whose state is counted from its jobs; raises ``BatchNotFound``."""
        return await batches.get_batch(batch_id, self.runtime, owner=owner)

    async def cancel_batch(self, batch_id: str, *, owner: str | None = None) -> BatchState:
        """Cancel the jobs of a batch that have not ended, and return it; idempotent. Raises ``BatchNotFound``."""
        return await batches.cancel_batch(batch_id, self.runtime, owner=owner)
