"""The reception of a pipeline: its JSON document, and its files in the spool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediagate.errors import BadUpload, MediaNotFound, ObjectNotFound, UploadNotReceived
from mediagate.intake.admission import Admission
from mediagate.intake.batches import BatchOrder, accept_batch
from mediagate.intake.body import Patience, open_body
from mediagate.intake.callbacks import check_callback
from mediagate.intake.declaration import check_current, find_upload, unknown_upload
from mediagate.intake.idempotency import ReservedKey
from mediagate.intake.multipart import MAX_REQUEST, ONE, FormFile, FormLimits, receive_pipeline
from mediagate.intake.pipelines import OrderInput, PipelineOrder, accept_order
from mediagate.intake.plain import receive_json
from mediagate.intake.prices import pipeline_price
from mediagate.intake.spool import receive_source
from mediagate.intake.unlocking import unlocked
from mediagate.kernel import Incoming
from mediagate.parts import Parts
from mediagate.storage import streaming
from mediagate.values import MOST_INPUTS, BatchState, ImageInfo, Job, Media, Principal, owner_and_key

if TYPE_CHECKING:
    from mediagate.images import Recipe

JSON = "application/json"


class Reception:
    """A received request: a JSON ``document``, and ``files`` on which its steps run or to which they refer."""

    def __init__(self, received: Received) -> None:
        self.document = received.document
        self.files = list(received.files)
        self.ignored = received.ignored
        """Unknown fields of the form."""
        self.principal: Principal | None = None
        """The caller."""
        self.held: ReservedKey | None = None
        """The ``Idempotency-Key``, if the caller sent one."""
        self.job: Job | None = None
        """The new job, once it is recorded."""
        self._references = received.references

    @property
    def inputs(self) -> tuple[OrderInput, ...]:
        """The files as the inputs of an order; those on which the steps run are named ``input0`` and so on."""
        free = (name for name in map("input{}".format, count()) if name not in self.pictures)
        return tuple(OrderInput(one.picture or next(free), one.file, one.filename) for one in self.files)

    @property
    def pictures(self) -> frozenset[str]:
        """The names of the files to which a step may refer."""
        return frozenset(file.picture for file in self.files if file.picture is not None)

    async def add_media(self, media_id: str, *, owner: str | None, picture: str | None = None) -> None:
        """Add a published picture, under the name of a ``picture`` if steps refer to it.

        Raises ``MediaNotFound``, also if another owner has it.
        """
        self._add(replace(await self._references.media(media_id, owner), picture=picture))

    async def add_upload(self, upload_id: str, *, owner: str | None) -> None:
        """Add the file of a direct upload, which stays as it is.

        Raises ``UploadNotFound``, also if another owner has it, ``UploadExpired`` and ``UploadNotReceived``.
        """
        self._add(await self._references.upload(upload_id, owner))

    async def probe(self, recipe: Recipe) -> list[ImageInfo]:
        """Return the information in the header of each file on which the steps of a recipe run.

        Encrypted documents are unlocked first. Raises like ``ImagePool.probe``.
        """
        self.files = [await self._references.unlocked(file, recipe) for file in self.files]
        return [await self._references.probe(file) for file in self.files if file.picture is None]

    def check_callback(self, url: str | None) -> None:
        """Raise ``CallbacksUnavailable`` for a URL that nothing would call."""
        self._references.check_callback(url)

    def price_of(self, recipe: Recipe) -> int:
        """Return what a recipe costs in credits on these files, or on one picture if there are none."""
        pictures = sum(file.picture is None for file in self.files)
        return self._references.price_of(recipe, pictures or 1)

    async def accept(self, order: PipelineOrder) -> Job:
        """Record the job of an order of these files and return it, or that of the first order under the same key.

        Raises the errors of ``PipelineOrder.check`` and ``accept_order``.
        """
        job, made = await self._references.accept(order, self.principal, self.held)
        self.job = job if made else None
        return job

    def _add(self, file: FormFile) -> None:
        if len(self.files) == MOST_INPUTS:
            raise BadUpload(f"more than {MOST_INPUTS} files; send the others with another request")
        self.files.append(file)


class References:
    """Copies stored files into the spool, where they stay until a stack of resources is closed, and records orders."""

    def __init__(
        self,
        parts: Parts,
        source_type: str,
        admission: Admission,
        request: Incoming,
        check_head: Callable[[bytes], None],
        spool_dir: Path,
        stack: AsyncExitStack,
    ) -> None:
        self._parts = parts
        self._source = parts.sources[source_type]
        self._admission = admission
        self._request = request
        self._check_head = check_head
        self._spool_dir = spool_dir
        self._stack = stack

    async def media(self, media_id: str, owner: str | None) -> FormFile:
        """Copy the original of a media, or its largest variant if the original was not kept."""
        records = self._parts.records
        media = await records.get_media(media_id)
        if media is None or media.expired(await records.now()) or owner not in (None, media.owner_id):
            raise _unknown_media(media_id)
        key = _largest_key(media)
        try:
            return await self._copied(key, f"{media.id}.{key.rpartition('.')[2]}")
        except ObjectNotFound:
            raise _unknown_media(media_id) from None

    async def upload(self, upload_id: str, owner: str | None) -> FormFile:
        """Copy the file of a direct upload."""
        upload = await find_upload(upload_id, self._parts)
        if owner not in (None, upload.owner_id):
            raise unknown_upload(upload_id)
        await check_current(upload, self._parts)
        try:
            file = await self._copied(upload.staging_key, upload.ticket.filename)
        except ObjectNotFound:
            raise UploadNotReceived(f"the file of upload {upload.id} is not there; send it to its url first") from None
        if upload.token_hash is None:
            # The storage received the file, so its bytes are counted here.
            self._request.received += file.file.bytes
        return file

    async def unlocked(self, file: FormFile, recipe: Recipe) -> FormFile:
        """Return a file, an encrypted document without its encryption if its recipe has the password."""
        unlocking = unlocked(file.file, recipe, self._parts, self._source, self._spool_dir)
        return replace(file, file=await self._stack.enter_async_context(unlocking))

    async def probe(self, file: FormFile) -> ImageInfo:
        """Return the information in the header of a file."""
        return await self._parts.images.probe(file.file.path, self._source)

    def check_callback(self, url: str | None) -> None:
        """Raise ``CallbacksUnavailable`` for a URL that nothing would call."""
        check_callback(url, self._parts)

    def price_of(self, recipe: Recipe, pictures: int) -> int:
        """Return what a recipe costs in credits on some pictures."""
        return pipeline_price((step.op for step in recipe.steps), pictures, self._parts)

    async def accept(
        self, order: PipelineOrder, principal: Principal | None, held: ReservedKey | None
    ) -> tuple[Job, bool]:
        """Record the job of an order; return it and whether it is new."""
        order.check(self._parts.sources)
        owner, key_id = owner_and_key(principal)
        return await accept_order(order, self._parts, self._spool_dir, held=held, owner=owner, key_id=key_id)

    async def accept_batch(
        self, order: BatchOrder, principal: Principal | None, held: ReservedKey | None
    ) -> tuple[BatchState, Sequence[Job]]:
        """Record a batch; return it and its new jobs."""
        order.check(self._parts.sources)
        await self._admission.check_batch(len(order.orders))
        owner, key_id = owner_and_key(principal)
        return await accept_batch(order, self._parts, self._spool_dir, held=held, owner=owner, key_id=key_id)

    async def _copied(self, key: str, filename: str) -> FormFile:
        found = await self._parts.storage.stat(key)
        if found is None:
            raise ObjectNotFound(key)
        stack, stored = self._stack, self._parts.storage.stream(key)
        stack.enter_context(self._admission.room(found.size))
        chunks = await stack.enter_async_context(streaming(stored))
        spooled = receive_source(chunks, self._spool_dir, max_bytes=self._source.max_bytes, check_head=self._check_head)
        return FormFile(await stack.enter_async_context(spooled), filename, None)


@dataclass(frozen=True, slots=True)
class Received:
    """A received document and its files, before their references are copied."""

    document: dict[str, Any]
    files: tuple[FormFile, ...]
    ignored: tuple[str, ...]
    references: References


@asynccontextmanager
async def receive(
    request: Incoming,
    parts: Parts,
    source_type: str,
    admission: Admission,
    patience: Patience,
    check_head: Callable[[bytes], None],
    spool_dir: Path,
    limits: FormLimits = ONE,
) -> AsyncIterator[Received]:
    """Receive a form, or a JSON object without files; all files stay for the length of the block.

    Raises the errors of ``receive_pipeline`` and ``receive_json``.
    """
    async with AsyncExitStack() as stack:
        references = References(parts, source_type, admission, request, check_head, spool_dir, stack)
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() == JSON:
            async with open_body(request, patience) as body:
                document = await receive_json(body, JSON, max_bytes=MAX_REQUEST)
            yield Received(document, (), (), references)
            return
        form = await stack.enter_async_context(
            receive_pipeline(
                request,
                spool_dir,
                max_bytes=parts.sources[source_type].max_bytes,
                patience=patience,
                check_head=check_head,
                limits=limits,
                strict=parts.settings.strict,
            )
        )
        yield Received(form.document, form.files, form.ignored, references)


def _largest_key(media: Media) -> str:
    if media.original_key is not None:
        return media.original_key
    return max(media.variants, key=lambda variant: prod((variant.width, variant.height))).key


def _unknown_media(media_id: str) -> MediaNotFound:
    return MediaNotFound(f"media {media_id!r:.80} not found")
