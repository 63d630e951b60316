"""Re-judging: a worker judges published pictures again, one at a time, while no upload waits."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from mediagate.config import Source
from mediagate.errors import (
    ConfigError,
    MediagateError,
    ObjectNotFound,
    ProcessingError,
    PublishedFileLost,
    known_error,
    members,
)
from mediagate.jobs.isolation import Isolation, ran_out_of_time
from mediagate.jobs.judging import judge
from mediagate.jobs.lease import LeaseLost, RejudgementLease
from mediagate.jobs.remote_moderation import remote_moderation
from mediagate.jobs.retries import Retries
from mediagate.jobs.takedown import end_rejudgement
from mediagate.jobs.watch import Watch
from mediagate.moderation import count_review_as_reject, merge, policy_of_published
from mediagate.observe import cause_of
from mediagate.parts import Parts
from mediagate.records import get_state
from mediagate.values import (
    Framing,
    JobState,
    Media,
    RejudgeAction,
    Rejudgement,
    RejudgementEnd,
    RejudgementStatus,
    Rejudging,
    Verdict,
    rejudgement_id,
)

log = logging.getLogger("mediagate.worker")

PAGE = 100
"""How many media are compared at a time with the models of today."""
BURST = timedelta(seconds=2)
"""How much of a pass's rate may be made up for after a pause: about two rounds of a worker."""
GREY = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAAAAACPAi4CAAAAKUlEQVR42u3MQREAAAwCIKMb3RD77SAA6VEEAoFAIBAIBAKBQCAQfA8G320AeXC6"
    "efoAAAAASUVORK5CYII="
)
"""A grey picture, with which a worker learns the hashes of its models."""
FALLS: Mapping[RejudgeAction, RejudgementStatus] = {
    RejudgeAction.LIST: RejudgementStatus.FELL,
    RejudgeAction.REVIEW: RejudgementStatus.REVIEW,
    RejudgeAction.REJECT: RejudgementStatus.REJECTED,
}


class Rejudger:
    """The re-judging of one worker."""

    def __init__(self, parts: Parts, watch: Watch, isolation: Isolation, *, owner: str) -> None:
        self._parts = parts
        self._watch = watch
        self._isolation = isolation
        self._owner = owner
        self._retries = Retries(parts.settings)
        self._remote = remote_moderation(parts)
        self._moderates = parts.moderator is not None or self._remote is not None
        self._models: dict[tuple[str, str | None], Mapping[str, str]] = {}
        self._left: set[str] = set()
        """The passes that are left to other workers, as the log says."""
        self.found = False
        """Whether there was a picture to judge the last time."""

    async def attend(self) -> None:
        """Make one attempt at the next published picture, if there is one and no upload waits."""
        self.found = False
        # Without a moderator here, every picture would pass.
        claimed = await self._claim() if self._moderates else None
        if claimed is not None:
            self.found = True
            await self._run(*claimed)

    # -- claiming

    async def _claim(self) -> tuple[Rejudging, Source, Rejudgement] | None:
        records = self._parts.records
        passes = [one for one in await records.rejudgements.get_rejudgings() if not one.done]
        if not passes:
            return None
        now, waiting = await records.now(), await records.oldest_waiting()
        if waiting is not None and waiting <= now:
            return None
        for rejudging in passes:
            policy = self._policy(rejudging)
            if policy is None or rejudging.next_at > now:
                continue
            claimed = await self._claim_of(rejudging, policy, now)
            if claimed is not None:
                return rejudging, policy, claimed
        return None

    def _policy(self, rejudging: Rejudging) -> Source | None:
        """Return how the pictures of a pass are judged here; ``None`` leaves them to other workers."""
        source, parts = self._parts.sources.get(rejudging.source_type), self._parts
        if source is None:
            return None
        try:
            return policy_of_published(source, parts.moderator, parts.remote_moderator, rejudging.moderator)
        except ConfigError as exc:
            if rejudging.id not in self._left:
                self._left.add(rejudging.id)
                log.warning("re-judging %s: not by this worker: %s", rejudging.source_type, exc.detail)
            return None

    async def _claim_of(self, rejudging: Rejudging, policy: Source, now: datetime) -> Rejudgement | None:
        rejudgements = self._parts.records.rejudgements
        until = now + timedelta(seconds=self._parts.settings.lease_s)
        pause = timedelta(milliseconds=round(60_000 / rejudging.rate))
        next_at = max(rejudging.next_at, now - BURST) + pause
        again = await rejudgements.claim_again(
            rejudging, owner=self._owner, now=now, lease_until=until, next_at=next_at
        )
        if again is not None or rejudging.drawn_at is not None:
            return again
        found = await self._next_media(rejudging, policy, now)
        if found is None:
            return None
        rejudging, media, current = found
        claimed = Rejudgement(
            id=rejudgement_id(rejudging.id, media.job_id),
            rejudging_id=rejudging.id,
            job_id=media.job_id,
            media_id=media.id,
            created_at=now,
            max_attempts=self._parts.settings.max_attempts,
            lease_owner=self._owner,
            lease_until=until,
        )
        drawn = await rejudgements.draw(rejudging, media, now=now, next_at=next_at, claimed=claimed, current=current)
        return claimed if drawn else None

    async def _next_media(
        self, rejudging: Rejudging, policy: Source, now: datetime
    ) -> tuple[Rejudging, Media, int] | None:
        """Return the next media to judge, its pass, and how many current ones lie before it; ends a pass without one.

        Whole pages of current media are left out at once, without regard to the rate.
        """
        records = self._parts.records
        models = await self._models_of(rejudging, policy) if rejudging.outdated else {}
        while True:
            page = await records.list_media(
                rejudging.source_type, None, limit=PAGE if models else 1, cursor=rejudging.cursor, now=now
            )
            jobs = await records.get_jobs([media.job_id for media in page.items]) if models else {}
            for number, media in enumerate(page.items):
                job = jobs.get(media.job_id)
                if job is None or job.verdict is None or not models.items() <= job.verdict.models.items():
                    return rejudging, media, number
            last = page.items[-1] if page.next_cursor is not None else None
            moved = await records.rejudgements.draw(
                rejudging, last, now=now, next_at=rejudging.next_at, current=len(page.items)
            )
            if last is None or not moved:
                return None
            rejudging = replace(rejudging, cursor=page.next_cursor, claims=rejudging.claims + 1)

    async def _models_of(self, rejudging: Rejudging, policy: Source) -> Mapping[str, str]:
        """Return the hashes of the local models by the names of their moderators, empty if one has none or fails."""
        known = (rejudging.source_type, rejudging.moderator)
        if known not in self._models:
            models: Mapping[str, str] = {}
            if self._remote is None or not self._remote.alone(policy):
                judged_by = policy if self._remote is None else self._remote.locally(policy)
                try:
                    models = (await self._parts.images.judge(GREY, judged_by)).verdict.models
                except ProcessingError as exc:
                    # Each picture then fails by itself, and has its attempts.
                    log.warning("re-judging %s: no picture is left out: %s", rejudging.source_type, cause_of(exc))
                    return models
            self._models[known] = models if all(models.values()) else {}
        return self._models[known]

    # -- an attempt

    async def _run(self, rejudging: Rejudging, policy: Source, claimed: Rejudgement) -> None:
        lease = RejudgementLease(claimed, self._parts.records, lease_s=self._parts.settings.lease_s)
        running = False
        try:
            async with lease.kept():
                async with self._isolation.claiming:
                    self._isolation.enter()
                    running = True
                end = await self._judged(rejudging, policy, claimed)
            self._retries.came_through()
        except LeaseLost:
            log.warning("job %s: lease of its re-judgement lost", claimed.job_id, extra={"job_id": claimed.job_id})
            return
        except asyncio.CancelledError:
            await lease.give_back()
            raise
        except Exception as exc:
            failed = await self._failed(claimed, lease, exc)
            if failed is None:
                return
            end = failed
        finally:
            if running:
                self._isolation.leave()
        ended = await lease.insist(lambda: end_rejudgement(claimed, end, self._parts, self._watch), to_the_end=True)
        if ended is not None:
            self._parts.observer.rejudged(rejudging.source_type, ended)

    async def _judged(self, rejudging: Rejudging, policy: Source, claimed: Rejudgement) -> RejudgementEnd:
        if claimed.attempts > claimed.max_attempts:
            error = claimed.error or f"the worker died on each of {claimed.max_attempts} attempts"
            return RejudgementEnd(RejudgementStatus.FAILED, error=error, code=claimed.code or "attempts_exhausted")
        state = await get_state(self._parts.records, claimed.job_id)
        if state is None or state.media is None:
            return RejudgementEnd(RejudgementStatus.GONE)
        media = state.media
        verdicts: list[Verdict] = []
        for key in keys_to_judge(media):
            try:
                data = await self._parts.storage.get(key)
            except ObjectNotFound:
                if await self._parts.records.get_media(media.id) is None:
                    return RejudgementEnd(RejudgementStatus.GONE)
                raise PublishedFileLost(
                    f"the published file {key} is missing; restore it, or delete its media"
                ) from None
            verdicts.append(await self._verdict(data, policy, media))
            if verdicts[-1].decision != "allow":
                break
        verdict = merge(verdicts)
        if verdict.decision == "allow":
            return RejudgementEnd(RejudgementStatus.PASSED, _added_to(state, verdict))
        if rejudging.action is RejudgeAction.REJECT:
            verdict = count_review_as_reject(verdict)
        return RejudgementEnd(FALLS[rejudging.action], verdict)

    async def _verdict(self, data: bytes, policy: Source, media: Media) -> Verdict:
        look = partial(self._parts.images.judge, data, framing=Framing((media.focal_x, media.focal_y)))
        return (await judge(look, policy, self._remote)).verdict

    async def _failed(self, claimed: Rejudgement, lease: RejudgementLease, exc: Exception) -> RejudgementEnd | None:
        """Release the re-judgement for another attempt and return ``None``, or return that it failed."""
        ours, known = all(isinstance(one, MediagateError) for one in members(exc)), known_error(exc)
        error: str | None = f"{known.title}: {known.client_detail}" if known else "Internal error; see the log"
        code: str | None = known.code if known else MediagateError.code
        log.log(
            logging.WARNING if ours else logging.ERROR,
            "job %s, re-judgement, attempt %d: %s",
            claimed.job_id,
            claimed.attempts,
            cause_of(exc),
            exc_info=None if ours else exc,
            extra={"job_id": claimed.job_id, "code": code},
        )
        now = await lease.insist(self._parts.records.now, to_the_end=True)
        retry = self._retries.after(exc, claimed, now)
        if retry is None:
            return RejudgementEnd(RejudgementStatus.FAILED, error=error, code=code)
        # An uncounted attempt must not erase that the picture timed out before: it has one more attempt only.
        if ran_out_of_time(claimed) and not retry.counted:
            error, code = claimed.error, claimed.code
        await lease.insist(
            lambda: lease.release(retry.at, counted=retry.counted, error=error, code=code), to_the_end=True
        )
        return None


def keys_to_judge(media: Media) -> list[str]:
    """Return the keys of the original, or else of the largest variant as uploaded, and of all that steps changed."""
    plain = [file for file in media.variants if file.look is None]
    changed = [file.key for file in media.variants if file.look is not None and file.first]
    if media.original_key is not None:
        return [media.original_key, *changed]
    return [max(plain, key=lambda file: file.width * file.height).key, *changed] if plain else changed


def _added_to(state: JobState, verdict: Verdict) -> Verdict:
    """Return a verdict with the scores and models that it lacks and the job's last verdict has."""
    before = state.job.verdict or Verdict()
    return replace(
        verdict,
        scores={**before.scores, **verdict.scores},
        models={**before.models, **verdict.models},
        group_scores={**before.group_scores, **verdict.group_scores},
    )
