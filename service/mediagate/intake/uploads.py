"""The path of an upload, from an authenticated request or a call from Python to the recorded job."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from mediagate.images import check_head
from mediagate.intake.acceptance import accept
from mediagate.intake.admission import Admission, Admitted
from mediagate.intake.backlog import Backlog
from mediagate.intake.batch_reception import BatchReception
from mediagate.intake.batches import BatchOrder, accept_batch
from mediagate.intake.body import Patience, RequestBody, open_body
from mediagate.intake.callbacks import check_callback
from mediagate.intake.completion import complete
from mediagate.intake.content import find_open_upload, keep_file, lock_content
from mediagate.intake.declaration import Declaration, declare, read_declaration
from mediagate.intake.idempotency import ReservedKey, reserve
from mediagate.intake.multipart import ONE, FormLimits, receive_upload
from mediagate.intake.pipelines import PipelineOrder, accept_order
from mediagate.intake.plain import receive_file, receive_json
from mediagate.intake.reception import Received, Reception, receive
from mediagate.intake.spool import Readable, receive_source
from mediagate.kernel import Incoming
from mediagate.parts import Parts
from mediagate.values import (
    BatchState,
    DirectUpload,
    Job,
    Principal,
    UploadFields,
    UploadTarget,
    owner_and_key,
    read_fields,
)


class Intake:
    """Receives uploads, with one method for each route and each call from Python.

    The caller is already authenticated. The steps of a method are in the order in which they may refuse.
    """

    def __init__(self, parts: Parts, backlog: Backlog, spool_dir: Path) -> None:
        settings, sources = parts.settings, parts.sources
        self.admission = Admission(parts, backlog, spool_dir)
        self._parts = parts
        self._spool_dir = spool_dir
        self._patience = Patience(settings.upload_timeout_s, settings.upload_grace_s, settings.min_upload_rate)
        self._limits = {name: source.max_bytes for name, source in sources.items()}
        self._every_format = {name for source in sources.values() for name in source.formats}

    async def upload(self, request: Incoming, principal: Principal | None) -> tuple[Job, Sequence[str]]:
        """``POST /upload``: receive a form and return its job and the unknown fields.

        Raises the errors of ``Admission.admit``, ``reserve``, ``receive_upload``, ``UploadFields.check``, ``accept``
        and ``pre_file`` hooks.
        """
        parts = self._parts
        owner, key_id = owner_and_key(principal)

        async def on_source(source_type: str) -> None:
            request.state.source_type = source_type
            await parts.hooks.run("pre_file", request, source_type)

        async with (
            self.admission.admit(request) as admitted,
            reserve(request.headers.get("Idempotency-Key"), parts, owner=owner) as held,
            receive_upload(
                request,
                self._spool_dir,
                limits=self._limits,
                patience=self._patience,
                on_source=on_source,
                check_head=self._check_head,
                strict=parts.settings.strict,
            ) as form,
        ):
            fields = read_fields(form.fields, form.filename)
            fields.check(parts.sources)
            job, made = await accept(form, fields, parts, held=held, owner=owner, key_id=key_id)
            admitted.job = job if made else None
        return job, form.ignored

    @asynccontextmanager
    async def receive_pipeline(
        self, request: Incoming, principal: Principal | None, source_type: str, *, dry_run: bool
    ) -> AsyncIterator[Reception]:
        """``POST /pipelines``: receive the files of a pipeline, with the limits of a source, and its document.

        A dry run uses no ``Idempotency-Key``. Raises the errors of ``Admission.admit``, ``reserve``,
        ``reception.receive`` and ``pre_file`` hooks.
        """
        async with self._receive(request, principal, source_type, ONE, dry_run=dry_run) as (received, held, admitted):
            reception = Reception(received)
            reception.principal, reception.held = principal, held
            yield reception
            admitted.job = reception.job

    @asynccontextmanager
    async def receive_batch(
        self, request: Incoming, principal: Principal | None, source_type: str, limits: FormLimits, *, dry_run: bool
    ) -> AsyncIterator[BatchReception]:
        """``POST /batches``: receive the files of several pipelines and a document; else as ``receive_pipeline``."""
        async with self._receive(request, principal, source_type, limits, dry_run=dry_run) as (
            received,
            held,
            admitted,
        ):
            most = limits.bytes if limits.bytes is not None else self._limits[source_type] * limits.files
            batch = BatchReception(received, most)
            batch.principal, batch.held = principal, held
            yield batch
            if batch.jobs:
                admitted.job = batch.jobs[-1]
                self.admission.count(len(batch.jobs) - 1)

    @asynccontextmanager
    async def _receive(
        self, request: Incoming, principal: Principal | None, source_type: str, limits: FormLimits, *, dry_run: bool
    ) -> AsyncIterator[tuple[Received, ReservedKey | None, Admitted]]:
        parts = self._parts
        source = parts.sources[source_type]
        request.state.source_type = source_type
        key = None if dry_run else request.headers.get("Idempotency-Key")
        owner, _ = owner_and_key(principal)
        size = limits.bytes if request.declared is None else None
        async with (
            self.admission.admit(request, size=size, files=limits.files) as admitted,
            reserve(key, parts, owner=owner) as held,
        ):
            await parts.hooks.run("pre_file", request, source_type)
            check = partial(check_head, formats=source.formats)
            async with receive(
                request, parts, source_type, self.admission, self._patience, check, self._spool_dir, limits
            ) as received:
                yield received, held, admitted

    async def upload_source(
        self, source: Readable, fields: UploadFields, *, owner: str | None, idempotency_key: str | None
    ) -> tuple[Job, bool]:
        """``gate.upload``: read a source and return its job and whether it is new.

        Raises the errors of ``upload``, except those of hooks for requests and of limits on concurrent requests.
        """
        parts = self._parts
        fields.check(parts.sources)
        policy = parts.sources[fields.source_type]
        limit, check = policy.max_bytes, partial(check_head, formats=policy.formats)
        await self.admission.check_queue()
        with parts.observer.during("upload"):
            async with (
                reserve(idempotency_key, parts, owner=owner) as held,
                receive_source(source, self._spool_dir, max_bytes=limit, check_head=check) as file,
            ):
                job, made = await accept(file, fields, parts, held=held, owner=owner)
        if made:
            self.admission.count()
        return job, made

    async def order(
        self,
        order: PipelineOrder,
        *,
        owner: str | None,
        key_id: str | None = None,
        idempotency_key: str | None,
    ) -> tuple[Job, bool]:
        """``gate.pipeline``: receive the inputs of an order and return its job and whether it is new.

        Raises the errors of ``PipelineOrder.check``, ``reserve`` and ``accept_order``.
        """
        parts = self._parts
        order.check(parts.sources)
        await self.admission.check_queue()
        with parts.observer.during("upload"):
            async with reserve(idempotency_key, parts, owner=owner) as held:
                job, made = await accept_order(order, parts, self._spool_dir, held=held, owner=owner, key_id=key_id)
        if made:
            self.admission.count()
        return job, made

    async def batch(
        self, order: BatchOrder, *, owner: str | None, key_id: str | None = None, idempotency_key: str | None
    ) -> BatchState:
        """``gate.batch``: receive the inputs of all orders and return the batch, or that of an earlier call.

        Raises the errors of ``BatchOrder.check``, ``reserve`` and ``accept_batch``.
        """
        parts = self._parts
        order.check(parts.sources)
        await self.admission.check_batch(len(order.orders))
        with parts.observer.during("upload"):
            async with reserve(idempotency_key, parts, owner=owner) as held:
                state, jobs = await accept_batch(order, parts, self._spool_dir, held=held, owner=owner, key_id=key_id)
        self.admission.count(len(jobs))
        return state

    def open_body(self, request: Incoming) -> AbstractAsyncContextManager[RequestBody]:
        """Open the body of a request for ``declare``; after a refusal within the block it is drained."""
        return open_body(request, self._patience)

    async def declare(
        self, request: Incoming, body: RequestBody, principal: Principal | None, *, base_url: str
    ) -> tuple[UploadTarget, Sequence[str]]:
        """``POST /uploads``: record a declaration and return the target of its bytes and the unknown names.

        Raises the errors of ``Admission.admit``, ``receive_json``, ``read_declaration`` and ``record``.
        """
        owner, key_id = owner_and_key(principal)
        async with self.admission.admit(request):
            declared = await receive_json(body, request.headers.get("Content-Type", ""))
            request.state.source_type = declared.get("sourceType")
            declaration = read_declaration(declared, strict=self._parts.settings.strict)
            target = await self.record(declaration, owner=owner, key_id=key_id, base_url=base_url)
        return target, declaration.ignored

    async def record(
        self, declaration: Declaration, *, owner: str | None, key_id: str | None = None, base_url: str
    ) -> UploadTarget:
        """``gate.create_upload``: check and record a declaration and return the target of its bytes.

        Raises the errors of ``Declaration.check`` and ``check_callback``, of ``pre_declare`` hooks and the records.
        """
        declaration.check(self._parts.sources)
        check_callback(declaration.fields.callback_url, self._parts)
        return await declare(declaration, self._parts, owner=owner, key_id=key_id, base_url=base_url)

    async def receive_content(self, request: Incoming, upload_id: str) -> None:
        """``PUT /uploads/{id}/content``: store the file that is sent with the token of a declaration.

        The request acts on behalf of the caller that made the declaration. Raises the errors of ``find_open_upload``,
        ``Admission.admit``, ``lock_content``, ``receive_file``, ``keep_file`` and ``pre_file`` hooks.
        """
        parts = self._parts
        token, content_type = request.query_params.get("token", ""), request.headers.get("Content-Type", "")
        upload = await find_open_upload(upload_id, token, content_type, parts)
        source_type = upload.ticket.source_type
        check = partial(check_head, formats=parts.sources[source_type].formats)
        request.state.principal = Principal(upload.owner_id, key=upload.key_id) if upload.owner_id else None
        async with self.admission.admit(request, size=upload.bytes), self.open_body(request) as body:
            await parts.hooks.run("pre_file", request, source_type)
            async with (
                lock_content(upload, parts) as lock,
                receive_file(body, self._spool_dir, size=upload.bytes, check_head=check) as file,
            ):
                await keep_file(file, upload, lock, parts)

    async def complete(self, upload_id: str, *, owner: str | None, request: Incoming | None = None) -> Job:
        """``POST /uploads/{id}/complete`` and ``gate.complete_upload``: record and return the job of a sent file.

        With ``owner``, other owners' uploads are treated as unknown. Raises the errors of ``Admission.admit``,
        ``completion.complete`` and ``pre_file`` hooks.
        """

        async def on_upload(upload: DirectUpload) -> None:
            if request is None:
                return
            await self._parts.hooks.run("pre_file", request, upload.ticket.source_type)
            if upload.token_hash is None:
                # The storage received the file, so its bytes are counted here.
                request.received += upload.bytes

        async with self.admission.admit(request) as admitted:
            job, made = await complete(
                upload_id,
                self._parts,
                self._spool_dir,
                owner=owner,
                room=self.admission.room,
                on_upload=on_upload,
            )
            admitted.job = job if made else None
        return job

    def _check_head(self, head: bytes, source_type: str | None) -> None:
        source = self._parts.sources.get(source_type or "")
        formats = source.formats if source else self._every_format
        check_head(head, [name for name in formats if name != "pdf"])  # documents are for pipelines
