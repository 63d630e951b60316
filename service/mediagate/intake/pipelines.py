"""The acceptance of a pipeline: its inputs received and checked, each under a quarantine key, one transaction."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mediagate.config import Source
from mediagate.errors import ConfigError, InvalidParameter, UnsupportedType
from mediagate.images import check_head
from mediagate.intake.acceptance import announce, log_unrecorded
from mediagate.intake.callbacks import check_callback
from mediagate.intake.examination import Examination
from mediagate.intake.idempotency import ReservedKey, replay, replay_until
from mediagate.intake.prices import pipeline_price
from mediagate.intake.size_limit import check_size
from mediagate.intake.spool import Readable, SpooledFile, receive_source
from mediagate.intake.unlocking import unlocked
from mediagate.parts import Parts
from mediagate.values import (
    MOST_INPUTS,
    ImageInfo,
    Job,
    JobKind,
    PipelineInput,
    PipelineSpec,
    UploadFields,
    input_key,
    new_id,
    staging_key,
)

if TYPE_CHECKING:
    from mediagate.images import Operations, Recipe

MOST_BYTES = 2**31 - 1
"""Bytes of all inputs together, which usage counts."""
SOURCE_ID = "pipeline"
"""The source id of a pipeline that gives none: all of these share one place in the queue."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class OrderInput:
    """One picture of a pipeline, and the name by which steps may refer to it; a spooled file is not copied again."""

    name: str
    source: Readable | SpooledFile
    filename: str = ""


@dataclass(frozen=True, slots=True)
class PipelineOrder:
    """A request for a pipeline; the seam between a way to ask for one and its acceptance.

    The steps run on each input that no step refers to by its name. ``ttl`` is how long the outputs are to be kept;
    ``None`` and a longer time than the ``ttl`` of the source mean that of the source.
    """

    inputs: tuple[OrderInput, ...]
    recipe: Recipe
    source_type: str
    source_id: str = SOURCE_ID
    preset: str | None = None
    version: str | None = None
    """The hash of the preset, if these are its steps."""
    ttl: timedelta | None = None
    client_reference_id: str | None = None
    callback_url: str | None = None
    dialect: str | None = None
    """The dialect of the API that the request was written in, and its path below that dialect's in ``endpoint``."""
    endpoint: str | None = None

    @property
    def fields(self) -> UploadFields:
        """What accompanies the inputs, as for an upload."""
        return UploadFields(
            self.source_type,
            self.source_id,
            client_reference_id=self.client_reference_id,
            callback_url=self.callback_url,
        )

    def check(self, sources: Mapping[str, Source]) -> None:
        """Raise ``UnknownSource``, ``InvalidSourceId`` or ``InvalidParameter`` for the first invalid part."""
        self.fields.check(sources)
        source = sources[self.source_type]
        if source.visibility != "private" or source.ttl is None:
            raise InvalidParameter(
                f'source: {self.source_type!r} is not for pipelines; set visibility="private" and ttl'
            )
        if not 1 <= len(self.inputs) <= MOST_INPUTS:
            raise InvalidParameter(f"inputs: send 1 to {MOST_INPUTS} pictures")
        names = [one.name for one in self.inputs]
        if len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
            raise InvalidParameter("inputs: give each its own name of 1 to 64 characters a-z, 0-9, _ and -")
        if self.ttl is not None and self.ttl <= timedelta(0):
            raise InvalidParameter("retention: use a time above 0")

    def referred(self, operations: Operations) -> frozenset[str]:
        """Return the names of the inputs that steps refer to; raises ``InvalidParameter`` if these are all."""
        found = (
            getattr(step.params, parameter) for step in self.recipe.steps for parameter in operations[step.op].inputs
        )
        referred = frozenset(name for name in found if name is not None)
        if all(one.name in referred for one in self.inputs):
            raise InvalidParameter("inputs: send a picture that no step refers to; the steps run on it")
        return referred

    def spec(self, source: Source) -> PipelineSpec:
        """Return what is stored of the order, with the retention that the source allows."""
        most = source.ttl or timedelta(0)
        clamped = self.ttl is not None and self.ttl > most
        ttl = most if self.ttl is None or clamped else self.ttl
        return PipelineSpec(
            steps=tuple(self.recipe.to_json()),
            recipe_hash=self.recipe.hash,
            ttl=ttl,
            preset=self.preset,
            version=self.version,
            clamped=clamped,
            dialect=self.dialect,
            endpoint=self.endpoint,
        )

    def fingerprint(self, files: Sequence[SpooledFile]) -> str:
        """Return a hash of the bytes of the inputs, of the steps and of all that accompanies them."""
        told = [
            [(one.name, file.sha256) for one, file in zip(self.inputs, files, strict=True)],
            self.recipe.hash,
            self.source_type,
            self.source_id,
            self.preset,
            self.ttl and self.ttl.total_seconds(),
            self.client_reference_id,
            self.callback_url,
        ]
        if self.dialect is not None:
            told += [self.dialect, self.endpoint]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


async def accept_order(
    order: PipelineOrder,
    parts: Parts,
    spool_dir: Path,
    *,
    held: ReservedKey | None,
    owner: str | None,
    key_id: str | None = None,
) -> tuple[Job, bool]:
    """Receive and quarantine the inputs of a pipeline and record its job; return the job and whether it is new.

    When this returns, the job survives any crash. Under a reused key, the same order gets the existing job and a
    different one raises ``IdempotencyKeyReused``. Raises the errors of ``POST /upload`` for each input,
    ``CallbacksUnavailable``, and ``ConfigError`` if this gate runs no pipelines.
    """
    if parts.operations is None:
        raise ConfigError("this gate runs no pipelines: no plugin has provided OPERATIONS")
    check_callback(order.callback_url, parts)
    referred = order.referred(parts.operations)
    async with AsyncExitStack() as received:
        files = await receive_inputs(order, parts, spool_dir, received)
        fingerprint = order.fingerprint(files)
        if held is not None and held.fingerprint is not None:
            return await replay(held.key, fingerprint, parts), False
        files = await unlock_inputs(order, files, parts, spool_dir, received)
        examination = Examination(parts.sources[order.source_type], parts)
        job = await make_pipeline(order, files, referred, examination, parts, owner=owner, key_id=key_id)
        for one, file in zip(job.inputs, files, strict=True):
            await parts.storage.put(one.key, file.path)
    with log_unrecorded(job):
        ours = await parts.records.create_job(
            job,
            key=held.key if held else None,
            fingerprint=fingerprint if held else None,
            key_expires_at=replay_until(job, parts) if held else None,
        )
    if not ours and held is not None:
        await parts.storage.delete(job.staged_keys)
        return await replay(held.key, fingerprint, parts), False
    await announce(job, parts)
    return job, True


async def receive_inputs(
    order: PipelineOrder, parts: Parts, spool_dir: Path, received: AsyncExitStack
) -> list[SpooledFile]:
    """Copy the inputs that are not there yet into the spool, where they stay until the stack is closed."""
    source = parts.sources[order.source_type]
    check = partial(check_head, formats=source.formats)
    files = [
        one.source
        if isinstance(one.source, SpooledFile)
        else await received.enter_async_context(
            receive_source(one.source, spool_dir, max_bytes=source.max_bytes, check_head=check)
        )
        for one in order.inputs
    ]
    check_size(sum(file.bytes for file in files), MOST_BYTES, "the limit of all inputs together")
    return files


async def unlock_inputs(
    order: PipelineOrder, files: Sequence[SpooledFile], parts: Parts, spool_dir: Path, received: AsyncExitStack
) -> list[SpooledFile]:
    """Return the inputs, encrypted documents as copies that open without a password, until the stack is closed."""
    source = parts.sources[order.source_type]
    return [
        await received.enter_async_context(unlocked(file, order.recipe, parts, source, spool_dir)) for file in files
    ]


async def make_pipeline(
    order: PipelineOrder,
    files: Sequence[SpooledFile],
    referred: frozenset[str],
    examination: Examination,
    parts: Parts,
    *,
    owner: str | None,
    key_id: str | None,
) -> Job:
    """Examine each input, and return the job to record.

    Raises ``InvalidPipeline`` if the steps do not fit the inputs, or would render too many pages.
    """
    from mediagate.images import check_pages  # lazily, as the recipe's operations

    source, job_id, inputs = parts.sources[order.source_type], new_id("job"), []
    entering: list[ImageInfo] = []
    for position, (one, file) in enumerate(zip(order.inputs, files, strict=True)):
        info = await examination.examine(file, replace(order.fields, filename=one.filename), owner=owner)
        if one.name not in referred:
            entering.append(info)
            check_pages(order.recipe, entering, source.max_pages)
        elif info.format == "pdf":
            raise UnsupportedType(f"the input {one.name!r} is a document; a step can refer to pictures only")
        inputs.append(
            PipelineInput(
                name=one.name,
                filename=one.filename,
                key=input_key(job_id, position),
                format=info.format,
                bytes=file.bytes,
                sha256=file.sha256,
                width=info.width,
                height=info.height,
                refers=one.name in referred,
                pages=info.frames if info.format == "pdf" else None,
            )
        )
    first, spec = next(one for one in inputs if not one.refers), order.spec(source)
    return Job(
        id=job_id,
        source_type=order.source_type,
        source_id=order.source_id,
        media_id=new_id("med"),
        staging_key=staging_key(job_id),
        format=first.format,
        bytes=sum(one.bytes for one in inputs),
        sha256=first.sha256,
        width=first.width,
        height=first.height,
        created_at=await parts.records.now(),
        filename=first.filename,
        client_reference_id=order.client_reference_id,
        callback_url=order.callback_url,
        max_attempts=parts.settings.max_attempts,
        owner_id=owner,
        key_id=key_id,
        traceparent=parts.observer.traceparent(),
        priority=source.rank,
        kind=JobKind.PIPELINE,
        spec=spec,
        inputs=tuple(inputs),
        credits=pipeline_price(spec.ops, sum(not one.refers for one in inputs), parts),
    )
