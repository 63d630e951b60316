"""The calls of an open gate that judge published pictures again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mediagate.api import rejudging
from mediagate.api.runtime import Runtime
from mediagate.values import RejudgeAction, Rejudgement, RejudgementStatus, Rejudging


class ModerationCalls(ABC):
    """Re-judging; the calls are the operator's, and know no owners."""

    @property
    @abstractmethod
    def runtime(self) -> Runtime:
        """The open gate's parts and loops."""

    async def rejudge(
        self,
        source_type: str | None = None,
        *,
        action: RejudgeAction | str = "list",
        moderator: str | None = None,
        outdated: bool = False,
        rate: int = 120,
    ) -> Sequence[Rejudging]:
        """Let the workers judge all published pictures of one or each source by the models and thresholds of today.

        ``action`` says what happens to pictures that would be rejected today. ``moderator`` names the only moderator
        that judges. ``outdated`` leaves out pictures that the models of today have judged. ``rate`` is the largest
        number of pictures per minute for each source. An open pass with the same arguments continues, at this rate,
        until ``close_rejudging``. Raises ``UnknownSource`` and ``InvalidParameter``.
        """
        return await rejudging.rejudge(
            self.runtime, source_type, action=action, moderator=moderator, outdated=outdated, rate=rate
        )

    async def get_rejudgings(self, *rejudging_ids: str) -> Sequence[Rejudging]:
        """Return these passes, or without ids all open ones, the oldest first."""
        return await self.runtime.parts.records.rejudgements.get_rejudgings(rejudging_ids)

    async def close_rejudging(self, rejudging_id: str) -> None:
        """Close a pass, and stop it unless it is done; its results are kept. ``rejudge`` then begins a new one."""
        await rejudging.close_rejudging(rejudging_id, self.runtime)

    async def list_rejudgements(
        self,
        *,
        status: RejudgementStatus | str | None = None,
        rejudging_id: str | None = None,
        limit: int = 100,
        after: str = "",
    ) -> Sequence[Rejudgement]:
        """Return the re-judgements that match each given value, ``limit`` (1-100) at a time.

        Those that ended PASSED or GONE are only counted; those of an open pass may be PENDING or PROCESSING. They are
        ordered by id; ``after`` is the last id of the previous page. Raises ``InvalidParameter``.
        """
        return await rejudging.list_rejudgements(
            self.runtime, status=status, rejudging_id=rejudging_id, limit=limit, after=after
        )

    async def decide(self, job_id: str, decision: str) -> RejudgementStatus:
        """Decide, with ``keep`` or ``reject``, about a published picture that waits for a person since ``rejudge``.

        Returns KEPT or REJECTED, or GONE for a picture to reject that has been deleted meanwhile. Raises
        ``JobNotFound``, ``JobConflict`` unless it waits, and ``InvalidParameter``.
        """
        return await rejudging.decide(job_id, decision, self.runtime)
