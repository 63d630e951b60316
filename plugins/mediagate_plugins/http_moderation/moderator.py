"""The moderator: one POST for each picture, under the rules of all outbound requests."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

from mediagate import Verdict
from mediagate.errors import ModerationFailed, ModeratorUnavailable
from mediagate.outbound import NotSent, Poster
from mediagate_plugins.http_moderation.service import Service

ANSWER_BYTES = 256 * 1024
AWAY = (401, 402, 403, 408, 425, 429)
"""Answers that, like 5xx, concern the account and not the picture: the job waits until the cause is fixed."""


class HttpModerator:
    """A ``RemoteModerator`` of a JSON API."""

    name = "http_moderation"
    input_edge = 1024
    """Services process pictures of 1,000 to 2,000 pixels (OpenAI fits them into 2048 x 2048); twice this is sent."""

    def __init__(
        self,
        service: Service,
        poster: Poster,
        *,
        groups: Mapping[str, frozenset[str]],
        timeout_s: float,
        max_calls_per_day: int | None,
    ) -> None:
        self.labels = frozenset(service.scores)
        self.groups = groups
        self.timeout_s = timeout_s
        self.max_calls_per_day = max_calls_per_day
        self._service = service
        self._target = service.target
        self._networks = tuple(ip_network(network) for network in service.private_networks)
        self._poster = poster

    async def judge(self, jpeg: bytes) -> Verdict:
        """Send a picture and return its scores; raises ``ModeratorUnavailable`` and ``ModerationFailed``."""
        headers = {"content-type": "application/json", "accept": "application/json", **self._service.headers}
        try:
            answer = await self._poster.post(
                self._target,
                headers,
                self._service.request(jpeg),
                networks=self._networks,
                read_bytes=ANSWER_BYTES,
            )
        except NotSent as exc:
            raise ModeratorUnavailable(f"the moderation service: {exc}") from None
        if answer.status in AWAY or answer.status >= 500:
            raise ModeratorUnavailable(f"the moderation service answered {answer.status}")
        if answer.status != 200:
            raise ModerationFailed(f"the moderation service answered {answer.status}")
        return Verdict(scores=self._service.read(answer.body), model=self._service.model or self._target.host)

    async def examine(self) -> str:
        """Return one line for ``mediagate doctor``, without sending anything; raises ``ConfigError``."""
        await self._poster.examine("http_moderation", self._target, self._networks)
        most = self.max_calls_per_day
        return f"{self._target.host} resolves to allowed addresses; {len(self.labels)} labels, " + (
            "no limit of calls" if most is None else f"at most {most:,} calls a day"
        )
