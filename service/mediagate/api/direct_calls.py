"""Direct uploads from Python: declared, sent by whoever has the bytes, completed."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mediagate.api.runtime import Runtime
from mediagate.intake import complete, declare, read_declaration
from mediagate.values import Status, UploadTarget, check_owner, source_id_text


class DirectCalls(ABC):
    """What an open gate can be asked of direct uploads."""

    @property
    @abstractmethod
    def running(self) -> Runtime:
        """The open gate's parts; raises ``PluginError`` while it is closed."""

    @abstractmethod
    async def get_status(self, job_id: str, *, owner: str | None = None) -> Status:
        """Return where a job stands."""

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
        running = self.runtime
        admission = running.admission
        async with admission.slot(0):
            job, made = await complete(upload_id, running.parts, running.spool_dir, owner=owner, room=admission.room)
        if made:
            admission.count()
        return await self.get_status(job.id)

    def _base(self, base_url: str) -> str:
        return base_url or (self.runtime.parts.settings.public_base_url or "").rstrip("/")
