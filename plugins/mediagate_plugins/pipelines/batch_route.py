"""``POST /batches``: several independent pipelines in one request, all of them or none."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagate import (
    BatchOrder,
    BatchReception,
    BatchState,
    FormFile,
    ImageInfo,
    MediaGate,
    OrderInput,
    PipelineOrder,
    owner_seen_by,
)
from mediagate.errors import Faults
from mediagate_plugins.pipelines.acceptance import Translate, check_form, costs_of, order_of
from mediagate_plugins.pipelines.batch_request import FILES, BatchJob, BatchRequest, read_batch
from mediagate_plugins.pipelines.cost import Estimate
from mediagate_plugins.pipelines.locality import is_local
from mediagate_plugins.pipelines.routes import NO_STORE, check_query, described
from mediagate_plugins.pipelines.rules import PIPELINES, Rules


class BatchRoute:
    """The route of one gate."""

    def __init__(self, gate: MediaGate, rules: Rules) -> None:
        self._gate = gate
        self._rules = rules

    async def create(self, request: Request) -> Response:
        """``POST /batches``."""
        gate, dry_run = self._gate, request.query_params.get("dryRun", "0") != "0"
        async with self._received(request, dry_run=dry_run) as reception:
            check_query(request)
            asked, orders, estimates = await self._checked(request, reception, reception.document)
            ignored = [*reception.ignored, *asked.ignored]
            if dry_run:
                return JSONResponse(self._described(reception, asked, estimates, ignored), headers=NO_STORE)
            order = BatchOrder(orders, asked.client_reference_id, asked.callback_url)
            return gate.accepted_batch(request, await reception.accept(order), ignored)

    async def accept_translated(self, request: Request, translate: Translate) -> BatchState:
        """Record the batch of a request in a dialect; else as ``accept_translated`` of a pipeline."""
        async with self._received(request) as reception:
            translation = translate(reception.document)
            check_form(reception.ignored)
            with translation.told():
                asked, orders, _ = await self._checked(request, reception, translation.document)
                told = [replace(one, dialect=translation.dialect, endpoint=translation.endpoint) for one in orders]
                return await reception.accept(BatchOrder(tuple(told), asked.client_reference_id, asked.callback_url))

    def _received(self, request: Request, *, dry_run: bool = False) -> AbstractAsyncContextManager[BatchReception]:
        rules = self._rules
        return self._gate.receive_batch(request, rules.source_type, rules.batch_limits, dry_run=dry_run)

    async def _checked(
        self, request: Request, reception: BatchReception, document: dict[str, Any]
    ) -> tuple[BatchRequest, tuple[PipelineOrder, ...], list[list[Estimate]]]:
        ad_hoc = self._rules.may_ad_hoc(reception.principal, local=is_local(request))
        reading = partial(read_batch, document, self._rules, ad_hoc=ad_hoc, files=reception.files.keys())
        # In a thread: checking a hundred jobs takes some tenths of a second.
        asked = await to_thread.run_sync(reading)
        reception.check_callback(asked.callback_url)
        return asked, *await self._orders(reception, asked)

    async def _orders(
        self, reception: BatchReception, asked: BatchRequest
    ) -> tuple[tuple[PipelineOrder, ...], list[list[Estimate]]]:
        """Return the orders, and the costs of each for its files; raises ``InvalidPipeline`` with all faults."""
        for job in asked.jobs:
            reception.count_steps(job.request.recipe)
        faults, orders, estimates = Faults(), list[PipelineOrder](), list[list[Estimate]]()
        for number, job in enumerate(asked.jobs):
            if faults.full:
                break
            place, before = f"/jobs/{number}", len(faults.errors)
            with faults.at(place):
                reception.check_callback(job.request.callback_url)
            files = await self._files(reception, job, place, faults)
            pictures = await self._pictures(reception, job, place, faults)
            costs = await self._costs(reception, job, files, faults, place)
            if len(faults.errors) == before:
                orders.append(self._order(job, [file for file, _ in files], pictures))
                estimates.append(costs)
        faults.check()
        return tuple(orders), estimates

    async def _files(
        self, reception: BatchReception, job: BatchJob, place: str, faults: Faults
    ) -> list[tuple[FormFile, str]]:
        """Return the files on which the steps of a job run, each with its place in the request."""
        owner, found = owner_seen_by(reception.principal), list[tuple[FormFile, str]]()
        for number, name in enumerate(job.files):
            found.append((reception.files[name], f"{place}/{FILES}/{number}"))
        if job.request.media_id is not None:
            with faults.at(f"{place}/mediaId"):
                found.append((await reception.media(job.request.media_id, owner=owner), f"{place}/mediaId"))
        for number, upload_id in enumerate(job.request.upload_ids):
            with faults.at(f"{place}/uploadIds/{number}"):
                found.append((await reception.upload(upload_id, owner=owner), f"{place}/uploadIds/{number}"))
        for file, _ in found:
            reception.count(file)
        return found

    async def _pictures(
        self, reception: BatchReception, job: BatchJob, place: str, faults: Faults
    ) -> dict[str, FormFile]:
        """Return the files to which the steps of a job refer, by their names."""
        owner, found = owner_seen_by(reception.principal), {name: reception.files[name] for name in job.pictures}
        for name, media_id in job.request.pictures.items():
            with faults.at(f"{place}/pictures/{name}"):
                found[name] = await reception.media(media_id, owner=owner)
        for file in found.values():
            reception.count(file)
        return found

    async def _costs(
        self,
        reception: BatchReception,
        job: BatchJob,
        files: list[tuple[FormFile, str]],
        faults: Faults,
        place: str,
    ) -> list[Estimate]:
        """Return the cost for each file; a step that cannot work on one, or costs too much, is a fault of its job."""
        recipe, infos = job.request.recipe, list[ImageInfo]()
        for file, place_of_file in files:
            with faults.at(place_of_file):
                infos.append(await reception.probe(file, recipe))
        if len(infos) == len(files):
            with faults.at(place):
                # In a thread: estimating ten files for each of a hundred jobs takes some tenths of a second.
                return await to_thread.run_sync(costs_of, recipe, infos, self._rules, self._gate.settings)
        return []

    def _order(self, job: BatchJob, files: list[FormFile], pictures: dict[str, FormFile]) -> PipelineOrder:
        taken, number = {*pictures}, 0
        inputs = list[OrderInput]()
        for file in files:
            while (name := f"input{number}") in taken:
                number += 1
            number += 1
            inputs.append(OrderInput(name, file.file, file.filename))
        inputs += [OrderInput(name, file.file, file.filename) for name, file in pictures.items()]
        return order_of(job.request, tuple(inputs), self._rules)

    def _described(
        self, reception: BatchReception, asked: BatchRequest, estimates: list[list[Estimate]], ignored: list[str]
    ) -> dict[str, Any]:
        """Return the answer of a dry run."""
        requests = [job.request for job in asked.jobs]
        jobs = [
            described(one, self._rules, costs, credits=reception.price_of(one.recipe, len(costs)))
            for one, costs in zip(requests, estimates, strict=True)
        ]
        return {"valid": True, "jobs": jobs, **({"ignored": ignored} if ignored else {})}


async def accept_translated_batch(gate: MediaGate, request: Request, translate: Translate) -> BatchState:
    """Record the batch of a request in a dialect, as ``POST /batches`` does; else as ``accept_translated``."""
    return await BatchRoute(gate, gate[PIPELINES]).accept_translated(request, translate)
