"""Re-judging: published pictures are judged again by the moderators and thresholds of today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mediagate.values.image import Verdict


class RejudgeAction(StrEnum):
    """What happens to a published picture that would be rejected today."""

    LIST = "list"
    """It is listed; it stays published."""
    REVIEW = "review"
    """It waits for the decision of a person; it stays published until then."""
    REJECT = "reject"
    """It is taken down: its job is REJECTED, its media and files are deleted."""


@dataclass(frozen=True, slots=True)
class Rejudging:
    """One pass over all published pictures of a source, newest first."""

    id: str
    source_type: str
    action: RejudgeAction
    created_at: datetime
    next_at: datetime
    """When the next picture may be claimed."""
    rate: int
    """How many pictures are claimed per minute at most, by all workers together."""
    moderator: str | None = None
    """The name of the only moderator that judges; ``None``: all of the source."""
    outdated: bool = False
    """Whether pictures are left out that the current models have judged."""
    cursor: str | None = None
    """The last picture that was claimed or left out; the pass continues after it."""
    claims: int = 0
    """How often a picture was claimed or left out; each change of the pass expects the number that it has read."""
    drawn_at: datetime | None = None
    """When no picture was left to claim."""
    passed: int = 0
    fell: int = 0
    """Pictures that would be rejected today."""
    failed: int = 0
    """Pictures that could not be judged; they stay published."""
    gone: int = 0
    """Pictures that were deleted before they were judged."""
    current: int = 0
    """Pictures left out by ``outdated``."""
    in_progress: int = 0
    """Claimed pictures without a result, including those that wait for a retry."""

    @property
    def done(self) -> bool:
        """Whether every picture has a result."""
        return self.drawn_at is not None and not self.in_progress

    @property
    def judged(self) -> int:
        """How many pictures have a verdict."""
        return self.passed + self.fell


class RejudgementStatus(StrEnum):
    """The status of one picture's re-judgement."""

    PENDING = "PENDING"
    """It waits for a retry."""
    PROCESSING = "PROCESSING"
    PASSED = "PASSED"
    """The picture would be published today; this is only counted."""
    FELL = "FELL"
    """The picture would be rejected today, and is still published."""
    REVIEW = "REVIEW"
    """The same, and a person is to decide."""
    KEPT = "KEPT"
    """A person decided to keep it."""
    REJECTED = "REJECTED"
    """It was taken down."""
    FAILED = "FAILED"
    """It could not be judged, and is still published."""
    GONE = "GONE"
    """The picture was deleted before it was judged; this is only counted."""

    @property
    def terminal(self) -> bool:
        """Whether a worker has finished it."""
        return self not in (RejudgementStatus.PENDING, RejudgementStatus.PROCESSING)


@dataclass(frozen=True, slots=True)
class Rejudgement:
    """The re-judgement of one published picture; a job of a worker, of the lowest priority."""

    id: str
    rejudging_id: str
    job_id: str
    media_id: str
    created_at: datetime
    status: RejudgementStatus = RejudgementStatus.PROCESSING
    attempts: int = 1
    max_attempts: int = 3
    lease_owner: str | None = None
    lease_until: datetime | None = None
    available_at: datetime | None = None
    finished_at: datetime | None = None
    verdict: Verdict | None = None
    error: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class RejudgementEnd:
    """The result of a re-judgement, with a terminal status."""

    status: RejudgementStatus
    verdict: Verdict | None = None
    error: str | None = None
    code: str | None = None


def rejudgement_id(rejudging_id: str, job_id: str) -> str:
    """Return the id of the re-judgement of a job's picture, of which a pass has one."""
    return f"{rejudging_id}.{job_id}"
