"""The reception of a batch: its JSON document, and its files in the spool by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mediagate.errors import UploadTooLarge
from mediagate.intake.batches import BatchOrder, count_steps
from mediagate.intake.idempotency import ReservedKey
from mediagate.intake.multipart import FormFile
from mediagate.intake.reception import Received
from mediagate.values import BatchState, ImageInfo, Job, Principal

if TYPE_CHECKING:
    from mediagate.images import Recipe


class BatchReception:
    """A received request: a JSON ``document``, and ``files`` by the names by which its jobs refer to them.

    ``most_bytes`` is the limit of the inputs of all jobs, of which each counts for each job that uses it.
    """

    def __init__(self, received: Received, most_bytes: int) -> None:
        self.document = received.document
        self.files: Mapping[str, FormFile] = {file.picture or "": file for file in received.files}
        self.ignored = received.ignored
        """Unknown fields of the form."""
        self.principal: Principal | None = None
        """The caller."""
        self.held: ReservedKey | None = None
        """The ``Idempotency-Key``, if the caller sent one."""
        self.jobs: Sequence[Job] = ()
        """The new jobs, once they are recorded."""
        self._references = received.references
        self._most_bytes = most_bytes
        self._bytes = 0
        self._steps_bytes = 0
        self._copied: dict[str, FormFile] = {}
        self._probed: dict[tuple[Path, str | None], ImageInfo] = {}

    async def media(self, media_id: str, *, owner: str | None) -> FormFile:
        """Return the file of a published picture; raises ``MediaNotFound``, also if another owner has it."""
        if media_id not in self._copied:
            self._copied[media_id] = await self._references.media(media_id, owner)
        return self._copied[media_id]

    async def upload(self, upload_id: str, *, owner: str | None) -> FormFile:
        """Return the file of a direct upload, which stays as it is.

        Raises ``UploadNotFound``, also if another owner has it, ``UploadExpired`` and ``UploadNotReceived``.
        """
        if upload_id not in self._copied:
            self._copied[upload_id] = await self._references.upload(upload_id, owner)
        return self._copied[upload_id]

    def count(self, file: FormFile) -> None:
        """Count a file as the input of one job; raises ``UploadTooLarge`` if all inputs together are too large."""
        self._bytes += file.file.bytes
        if self._bytes > self._most_bytes:
            raise UploadTooLarge(
                f"the inputs of all jobs together are larger than {self._most_bytes:,} bytes; send some jobs with "
                "another request",
                limit=self._most_bytes,
            )

    def count_steps(self, recipe: Recipe) -> None:
        """Count the steps of one job; raises ``InvalidParameter`` if those of all jobs together are too large."""
        self._steps_bytes = count_steps(recipe, self._steps_bytes)

    async def probe(self, file: FormFile, recipe: Recipe) -> ImageInfo:
        """Return the information in the header of a file, of an encrypted document by the password of its recipe.

        Raises like ``ImagePool.probe`` and ``ImagePool.unlock``.
        """
        from mediagate.images import password_of  # lazily: only gates that run pipelines load the operations

        seen = file.file.path, password_of(recipe)
        if seen not in self._probed:
            self._probed[seen] = await self._references.probe(await self._references.unlocked(file, recipe))
        return self._probed[seen]

    def check_callback(self, url: str | None) -> None:
        """Raise ``CallbacksUnavailable`` for a URL that nothing would call."""
        self._references.check_callback(url)

    def price_of(self, recipe: Recipe, pictures: int) -> int:
        """Return what a recipe costs in credits on some pictures."""
        return self._references.price_of(recipe, pictures)

    async def accept(self, order: BatchOrder) -> BatchState:
        """Record a batch of jobs on these files and return it, or that of the first request under the same key.

        Raises ``QueueFull`` and the errors of ``BatchOrder.check`` and ``accept_batch``.
        """
        state, self.jobs = await self._references.accept_batch(order, self.principal, self.held)
        return state
