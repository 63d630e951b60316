"""What an open gate takes in from Python: files, and direct uploads."""

from __future__ import annotations

from pathlib import Path

from mediagate.api.jobs import JobCalls
from mediagate.intake import Declaration, Readable
from mediagate.values import (
    ANY_TYPE,
    Status,
    UploadFields,
    UploadTarget,
    check_owner,
    display_name,
    read_focal,
    source_id_text,
)


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
        check_owner(owner)
        name = filename or (source.name if isinstance(source, Path) else getattr(source, "filename", None) or "")
        fields = _fields(source_type, source_id, name, client_reference_id, callback_url, focal)
        intake = self.runtime.intake
        job, made = await intake.upload_source(source, fields, owner=owner, idempotency_key=idempotency_key)
        return Status(job, None) if made else await self.get_status(job.id)

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
        # Hosts pass on what a client told of its file, which may be None.
        fields = _fields(source_type, source_id, filename or "", client_reference_id, callback_url, focal)
        declaration = Declaration(fields, (content_type or "").lower() or ANY_TYPE, size)
        return await self.runtime.intake.record(declaration, owner=owner, base_url=self._base(base_url))

    async def complete_upload(self, upload_id: str, *, owner: str | None = None) -> Status:
        """Check what arrived for a direct upload and return its job; doing so again returns the same job.

        Raises ``UploadNotFound``, ``UploadExpired``, ``UploadNotReceived`` before the bytes have arrived,
        ``UploadInFlight`` while another call completes it, ``UploadMismatch`` when they are others than declared, and
        what ``upload`` raises for the same file.
        """
        job = await self.runtime.intake.complete(upload_id, owner=owner)
        return await self.get_status(job.id)


def _fields(
    source_type: str,
    source_id: str | int,
    filename: str,
    client_reference_id: str | None,
    callback_url: str | None,
    focal: tuple[float, float],
) -> UploadFields:
    x, y = map(read_focal, focal)
    reference, callback = client_reference_id or None, callback_url or None
    return UploadFields(source_type, source_id_text(source_id), display_name(filename), reference, callback, x, y)
