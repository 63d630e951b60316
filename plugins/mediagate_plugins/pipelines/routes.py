"""The routes of pipelines: create one, or try whether it would be accepted; and what can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagate import Action, ImageInfo, MediaGate, PipelineOrder, Reception, Settings, owner_seen_by
from mediagate.errors import BadUpload, InvalidParameter, InvalidPipeline
from mediagate.operations import Recipe, check_pages
from mediagate_plugins.pipelines.catalogue import catalogue
from mediagate_plugins.pipelines.cost import Estimate, estimated
from mediagate_plugins.pipelines.locality import is_local
from mediagate_plugins.pipelines.request import HOUR, PipelineRequest, read_request
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
            asked = await self._read(reception, local=is_local(request))
            reception.check_callback(asked.callback_url)
            await _add_references(reception, asked)
            estimates = await self._estimates(reception, asked)
            if dry_run:
                return JSONResponse(self._described(asked, estimates, reception), headers=NO_STORE)
            if not estimates:
                raise BadUpload("there is no picture; send a file, or a mediaId or uploadIds in the request")
            job = await reception.accept(self._order(reception, asked))
            return await self._gate.accepted(request, job, [*reception.ignored, *asked.ignored])

    async def _read(self, reception: Reception, *, local: bool) -> PipelineRequest:
        ad_hoc = self._rules.may_ad_hoc(reception.principal, local=local)
        reading = partial(read_request, reception.document, self._rules, ad_hoc=ad_hoc, inputs=reception.pictures)
        # In a thread: checking a large table of colours takes some tenths of a second.
        return await to_thread.run_sync(reading)

    async def _estimates(self, reception: Reception, asked: PipelineRequest) -> list[Estimate]:
        """Return the cost for each file; raises ``InvalidPipeline`` if a step cannot work on one, or costs too much."""
        infos = await reception.probe(asked.recipe)
        return costs_of(asked.recipe, infos, self._rules, self._gate.settings)

    def _order(self, reception: Reception, asked: PipelineRequest) -> PipelineOrder:
        return PipelineOrder(
            inputs=reception.inputs,
            recipe=asked.recipe,
            source_type=self._rules.source_type,
            preset=asked.preset,
            version=asked.version,
            ttl=asked.ttl,
            client_reference_id=asked.client_reference_id,
            callback_url=asked.callback_url,
        )

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


def costs_of(recipe: Recipe, infos: Sequence[ImageInfo], rules: Rules, settings: Settings) -> list[Estimate]:
    """Return the cost for each file; raises ``InvalidPipeline`` if a step cannot work on one, or costs too much."""
    costs, source = list[Estimate](), rules.source
    for info, pages in zip(infos, check_pages(recipe, infos, source.max_pages), strict=True):
        count = len(pages) if info.format == "pdf" else None
        cost = estimated(recipe, rules.operations, info, pages=count, max_pixels=source.max_pixels)
        cost.check(settings.image_timeout_s * 1000)
        costs.append(cost)
    return costs


async def _add_references(reception: Reception, asked: PipelineRequest) -> None:
    owner = owner_seen_by(reception.principal)
    if asked.media_id is not None:
        await reception.add_media(asked.media_id, owner=owner)
    for name, media_id in asked.pictures.items():
        await reception.add_media(media_id, owner=owner, picture=name)
    for upload_id in asked.upload_ids:
        await reception.add_upload(upload_id, owner=owner)


def check_query(request: Request) -> None:
    """Raise ``InvalidParameter`` unless ``dryRun`` is 0, 1 or missing."""
    if request.query_params.get("dryRun", "0") not in ("0", "1"):
        raise InvalidParameter("dryRun: use ?dryRun=1 to check a request, or leave it out")
