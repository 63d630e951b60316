"""What an open gate takes in from Python: files, and direct uploads."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mediagate.api.jobs import JobCalls
from mediagate.images import check_head
from mediagate.intake import (
    Readable,
    accept,
    complete,
    declare,
    display_name,
    read_declaration,
    receive_source,
    reserve,
)
from mediagate.values import Status, UploadTarget, check_owner, read_fields, source_id_text


class UploadCalls(JobCalls):
    """What an open gate takes in."""

    async def upload(
        self,
        source: Readable,
        *,
        source_type: str,
        source_id: str | int,
        filename: str = "",
        client_reference_id: str | None = None,
        callback_url: str | None = None,
        focal: tuple[float, float] = (0.5, 0.5),
        owner: str | None = None,
        idempotency_key: str | None = None,
    ) -> Status:
        """Accept a picture given as bytes, a path, an ``UploadFile`` or a stream, and return its PENDING job.

        ``focal`` is the point (x, y from 0 to 1) that ``fit="cover"`` keeps; ``owner`` is whose the picture
        is. Under an ``idempotency_key`` that was used before, the same upload returns the job of the first, wherever
        that stands. Raises the same ``RequestError`` that ``POST /upload`` answers, or ``Unavailable``.
        """
        parts = self.runtime.parts
        check_owner(owner)
        fields = {
            "sourceType": source_type,
            "sourceId": source_id_text(source_id),
            "focalX": str(focal[0]),
            "focalY": str(focal[1]),
        }
        if client_reference_id is not None:
            fields["clientReferenceId"] = client_reference_id
        if callback_url is not None:
            fields["callbackUrl"] = callback_url
        name = filename or (source.name if isinstance(source, Path) else getattr(source, "filename", None) or "")
        told = read_fields(fields, display_name(name), parts.sources)
        policy = parts.sources[source_type]
        limit, check = policy.max_bytes, partial(check_head, formats=policy.formats)
        await self.runtime.admission.check_queue()
        with parts.observer.during("upload"):
            async with (
                reserve(idempotency_key, parts, owner=owner) as held,
                receive_source(source, self.runtime.spool_dir, max_bytes=limit, check_head=check) as file,
            ):
                job = await accept(file, told, parts, held=held, owner=owner)
        if held is not None and held.fingerprint is not None:
            return await self.get_status(job.id)
        self.runtime.admission.count()
        return Status(job, None)

    async def create_upload(
        self,
        *,
        source_type: str,
        source_id: str | int,
        size: int,
        content_type: str = "",
        filename: str = "",
        client_reference_id: str | None = None,
        callback_url: str | None = None,
        focal: tuple[float, float] = (0.5, 0.5),
        owner: str | None = None,
        base_url: str = "",
    ) -> UploadTarget:
        """Declare a file of ``size`` bytes and return where a client puts them; then ``complete_upload``.

        Without a ``content_type`` the bytes decide. ``owner`` says whose it will be. Raises the same ``RequestError``
        that ``POST /uploads`` answers, or ``Unavailable``.
        """
        check_owner(owner)
        parts = self.runtime.parts
        declared = {
            "sourceType": source_type,
            "sourceId": source_id_text(source_id),
            "contentType": content_type,
            "size": size,
            "filename": filename,
            "clientReferenceId": client_reference_id,
            "callbackUrl": callback_url,
            "focalX": focal[0],
            "focalY": focal[1],
        }
        declaration = read_declaration(declared, parts.sources)
        return await declare(declaration, parts, owner=owner, base_url=self._base(base_url))

    async def complete_upload(self, upload_id: str, *, owner: str | None = None) -> Status:
        """Check what arrived for a direct upload and return its job; doing so again returns the same job.

        Raises ``UploadNotFound``, ``UploadExpired``, ``UploadNotReceived`` before the bytes have arrived,
        ``UploadInFlight`` while another call completes it, ``UploadMismatch`` when they are others than declared, and
        what ``upload`` raises for the same file.
        """
        runtime = self.runtime
        admission = runtime.admission
        async with admission.slot(0):
            job, made = await complete(upload_id, runtime.parts, runtime.spool_dir, owner=owner, room=admission.room)
        if made:
            admission.count()
        return await self.get_status(job.id)
