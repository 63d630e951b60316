"""The acceptance of one pipeline: its request checked against its files, then its job recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from anyio import to_thread
from starlette.requests import Request

from mediagate import ImageInfo, Job, MediaGate, OrderInput, PipelineOrder, Reception, Settings, owner_seen_by
from mediagate.errors import BadUpload, InvalidPipeline
from mediagate.operations import Recipe, check_pages, files_made, item
from mediagate_plugins.pipelines.cost import Estimate, estimated
from mediagate_plugins.pipelines.locality import is_local
from mediagate_plugins.pipelines.request import PipelineRequest, read_request
from mediagate_plugins.pipelines.rules import PIPELINES, Rules
from mediagate_plugins.pipelines.translation import Translation

Translate = Callable[[dict[str, Any]], Translation]


async def accept_translated(gate: MediaGate, request: Request, translate: Translate) -> Job:
    """Record the pipeline of a request in a dialect, as ``POST /pipelines`` does, and return its job.

    ``translate`` is called with the JSON object of the request, and raises ``InvalidPipeline`` for what it cannot say
    in the native words. Raises the errors of ``POST /pipelines``, with the places of faults in the dialect's request.
    """
    rules = gate[PIPELINES]
    async with gate.receive_pipeline(request, rules.source_type) as reception:
        translation = translate(reception.document)
        check_form(reception.ignored)
        with translation.told():
            asked, estimates = await check_request(gate, request, reception, translation.document)
            _check_outputs(translation.outputs, asked.recipe, estimates)
            return await accept(reception, rules, asked, estimates, translation)


def _check_outputs(expected: int | None, recipe: Recipe, estimates: Sequence[Estimate]) -> None:
    """Raise ``InvalidPipeline`` if the steps make another number of files than the request expects."""
    if expected is None or not estimates:
        return
    pictures = sum(1 if one.pages is None else one.pages for one in estimates)
    made = files_made(recipe.to_json(), [None] * pictures)
    if made != expected:
        detail = f"the steps make {made} files of what was sent; leave the number out, or send {made}"
        raise InvalidPipeline([item(("outputs",), "invalid_value", detail, expected)])


def check_form(unknown: Sequence[str]) -> None:
    """Raise ``InvalidPipeline`` for unknown fields of a form: what a dialect does not know is refused."""
    if unknown:
        detail = "unknown field of the form; send files, and all else in the field request"
        raise InvalidPipeline([item((name,), "unknown_field", detail) for name in unknown])


async def check_request(
    gate: MediaGate, request: Request, reception: Reception, document: dict[str, Any]
) -> tuple[PipelineRequest, list[Estimate]]:
    """Return the checked request in a JSON object of ``POST /pipelines``, and the cost for each file.

    Raises ``InvalidPipeline`` with every fault, and ``Forbidden`` for steps that the caller may not send.
    """
    rules = gate[PIPELINES]
    ad_hoc = rules.may_ad_hoc(reception.principal, local=is_local(request))
    reading = partial(read_request, document, rules, ad_hoc=ad_hoc, inputs=reception.pictures)
    # In a thread: checking a large table of colours takes some tenths of a second.
    asked = await to_thread.run_sync(reading)
    reception.check_callback(asked.callback_url)
    await _add_references(reception, asked)
    infos = await reception.probe(asked.recipe)
    return asked, costs_of(asked.recipe, infos, rules, gate.settings)


async def accept(
    reception: Reception,
    rules: Rules,
    asked: PipelineRequest,
    estimates: Sequence[Estimate],
    translation: Translation | None = None,
) -> Job:
    """Record the job of a checked request; raises ``BadUpload`` without a picture."""
    if not estimates:
        stored = "" if translation else ", or a mediaId or uploadIds in the request"
        raise BadUpload(f"there is no picture; send a file{stored}")
    return await reception.accept(order_of(asked, reception.inputs, rules, translation))


def order_of(
    asked: PipelineRequest, inputs: tuple[OrderInput, ...], rules: Rules, translation: Translation | None = None
) -> PipelineOrder:
    """Return the order of a checked request for some inputs."""
    return PipelineOrder(
        inputs=inputs,
        recipe=asked.recipe,
        source_type=rules.source_type,
        preset=asked.preset,
        version=asked.version,
        ttl=asked.ttl,
        client_reference_id=asked.client_reference_id,
        callback_url=asked.callback_url,
        dialect=translation.dialect if translation else None,
        endpoint=translation.endpoint if translation else None,
    )


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
