"""The protocol of re-judging: passes over published pictures, and the re-judgement of each picture."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from mediagate.values import Event, Job, Media, Rejudgement, RejudgementEnd, RejudgementStatus, Rejudging


@runtime_checkable
class Rejudgements(Protocol):
    """Passes and re-judgements, with the times and errors of ``Records``.

    They are kept apart from jobs: a job of the queue makes a picture public, and none of these does. A pass is *open*
    until it is closed; there is one open pass at most for the same source, action, moderator and
    ``outdated``.
    """

    async def begin(self, rejudging: Rejudging) -> Rejudging:
        """Insert a new pass, unless one like it is open; return the open one, which gets the rate of the new one."""
        ...

    async def get_rejudgings(self, rejudging_ids: Collection[str] = ()) -> Sequence[Rejudging]:
        """Return the existing ones of these passes, or without ids all open ones; the oldest first."""
        ...

    async def close_rejudging(self, rejudging_id: str, *, now: datetime) -> None:
        """Close a pass, after which one like it may begin; its results are kept.

        It claims nothing more. Its unfinished re-judgements are deleted, so that their leases are lost.
        """

    async def draw(
        self,
        rejudging: Rejudging,
        after: Media | None,
        *,
        now: datetime,
        next_at: datetime,
        claimed: Rejudgement | None = None,
        current: int = 0,
    ) -> bool:
        """Move a pass behind a media and insert its claimed re-judgement, in one transaction.

        ``after=None``: no media is left. ``current`` more media count as left out. ``False``, writing nothing, when the
        pass has changed since it was read or is not open, or the claimed job does not exist.
        """
        ...

    async def claim_again(
        self, rejudging: Rejudging, *, owner: str, now: datetime, lease_until: datetime, next_at: datetime
    ) -> Rejudgement | None:
        """Claim a re-judgement of a pass for another attempt, and record when the next one may be claimed.

        Claimable are PENDING ones whose ``available_at`` has passed and PROCESSING ones whose lease has expired,
        whatever their number of attempts. ``None`` when there is none, or the pass has changed since it was read.
        """
        ...

    async def advance(self, rejudgement_id: str, *, owner: str, lease_until: datetime) -> bool:
        """Extend the lease; ``False`` when the lease is lost."""
        ...

    async def release(
        self,
        rejudgement_id: str,
        *,
        owner: str,
        available_at: datetime,
        count_attempt: bool = True,
        error: str | None = None,
        code: str | None = None,
    ) -> bool:
        """Return a re-judgement to PENDING for a later attempt; ``False`` when the lease is lost.

        ``count_attempt=False`` undoes the claim's count, and lets the whole pass wait until ``available_at``.
        """
        ...

    async def end(
        self,
        rejudgement: Rejudgement,
        end: RejudgementEnd,
        *,
        now: datetime,
        taken_down: Job | None = None,
        events: tuple[Event, ...] = (),
    ) -> bool:
        """End a re-judgement, or one that waits for a person, in one transaction; ``False`` writes nothing.

        The re-judgement must still have its status and lease owner. A verdict of a picture that passed or is kept is
        stored with its job, if that is COMPLETE. ``taken_down`` is the job in its new state: it must be COMPLETE until
        then and have a media, which is deleted, and the events are written.
        """
        ...

    async def list_rejudgements(
        self,
        *,
        status: RejudgementStatus | None = None,
        rejudging_id: str | None = None,
        job_id: str | None = None,
        limit: int,
        after: str = "",
    ) -> Sequence[Rejudgement]:
        """Return the re-judgements that match each given value, with an id after ``after``, ordered by id."""
        ...


COUNTED = {
    RejudgementStatus.PASSED: "passed",
    RejudgementStatus.FELL: "fell",
    RejudgementStatus.REVIEW: "fell",
    RejudgementStatus.REJECTED: "fell",
    RejudgementStatus.FAILED: "failed",
    RejudgementStatus.GONE: "gone",
}
"""The count of a pass to which each result of a worker belongs."""
NOT_KEPT = (RejudgementStatus.PASSED, RejudgementStatus.GONE)
"""Results that are only counted: there may be millions."""
LIVE = (RejudgementStatus.PENDING, RejudgementStatus.PROCESSING)


def open_key(rejudging: Rejudging) -> str:
    """Return what open passes may not have in common."""
    parts = (rejudging.source_type, rejudging.action, rejudging.moderator or "", str(rejudging.outdated))
    return "\n".join(parts)
