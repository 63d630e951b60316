"""The routes of pipelines: create one, or try whether it would be accepted; and what can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagate import Action, MediaGate, Reception
from mediagate.errors import InvalidParameter, InvalidPipeline
from mediagate_plugins.pipelines.acceptance import accept, check_request
from mediagate_plugins.pipelines.catalogue import catalogue
from mediagate_plugins.pipelines.cost import Estimate, estimated
from mediagate_plugins.pipelines.locality import is_local
from mediagate_plugins.pipelines.request import HOUR, PipelineRequest
from mediagate_plugins.pipelines.rules import Rules

NO_STORE = {"Cache-Control": "no-store"}


class PipelineRoutes:
    """The routes of one gate."""

    def __init__(self, gate: MediaGate, rules: Rules) -> None:
        self._gate = gate
        self._rules = rules

    async def operations(self, request: Request) -> Response:
        """``GET /pipelines/operations``."""
        principal = await self._gate.authorize(request, Action.READ)
        body = catalogue(
            self._rules,
            ad_hoc=self._rules.may_ad_hoc(principal, local=is_local(request)),
            timeout_s=self._gate.settings.image_timeout_s,
            credits=self._gate.credits,
        )
        return JSONResponse(body, headers=NO_STORE)

    async def create(self, request: Request) -> Response:
        """``POST /pipelines``."""
        dry_run = request.query_params.get("dryRun", "0") != "0"
        async with self._gate.receive_pipeline(request, self._rules.source_type, dry_run=dry_run) as reception:
            check_query(request)
            asked, estimates = await check_request(self._gate, request, reception, reception.document)
            if dry_run:
                return JSONResponse(self._described(asked, estimates, reception), headers=NO_STORE)
            job = await accept(reception, self._rules, asked, estimates)
            return await self._gate.accepted(request, job, [*reception.ignored, *asked.ignored])

    def _described(self, asked: PipelineRequest, estimates: list[Estimate], reception: Reception) -> dict[str, Any]:
        """Return the answer of a dry run."""
        costs = estimates or self._reference_costs(asked)
        ignored = [*reception.ignored, *asked.ignored]
        told = described(asked, self._rules, costs, credits=reception.price_of(asked.recipe))
        return {"valid": True, **told, **({"ignored": ignored} if ignored else {})}

    def _reference_costs(self, asked: PipelineRequest) -> list[Estimate]:
        """Return the cost of one megapixel, nothing if the steps suit other pictures only."""
        try:
            return [estimated(asked.recipe, self._rules.operations)]
        except InvalidPipeline:
            return []


def described(asked: PipelineRequest, rules: Rules, costs: Sequence[Estimate], *, credits: int) -> dict[str, Any]:
    """Return what a dry run tells of one request."""
    most = rules.max_ttl
    wanted = most if asked.ttl is None else asked.ttl
    return {
        "preset": asked.preset,
        "presetVersion": asked.version,
        "steps": asked.recipe.to_json(),
        "outputs": list(asked.recipe.outputs),
        "retention": {"ttlHours": min(wanted, most) / HOUR, "clamped": wanted > most},
        "costs": [cost.to_json() for cost in costs],
        "credits": credits,
    }


def check_query(request: Request) -> None:
    """Raise ``InvalidParameter`` unless ``dryRun`` is 0, 1 or missing."""
    if request.query_params.get("dryRun", "0") not in ("0", "1"):
        raise InvalidParameter("dryRun: use ?dryRun=1 to check a request, or leave it out")
