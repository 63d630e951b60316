"""The examination of received files before their jobs are recorded: the header, ``pre_upload``, all pixels if asked."""

from __future__ import annotations

from pathlib import Path

from mediagate.config import Source
from mediagate.errors import UploadMismatch
from mediagate.intake.multipart import FormUpload
from mediagate.intake.spool import SpooledFile
from mediagate.parts import Parts
from mediagate.values import DECLARABLE, ImageInfo, IncomingUpload, UploadFields


class Examination:
    """The examination of the files of one request, all of one source; each file is decoded once for all jobs."""

    def __init__(self, source: Source, parts: Parts) -> None:
        self._source = source
        self._parts = parts
        self._headers: dict[Path, ImageInfo] = {}
        self._decoded: dict[Path, ImageInfo] = {}

    async def examine(
        self,
        file: FormUpload | SpooledFile,
        fields: UploadFields,
        *,
        owner: str | None,
        declared: str | None = None,
    ) -> ImageInfo:
        """Decode a file's header and run ``pre_upload`` for one job.

        With ``decode_before_202`` the whole file is then decoded, which may take seconds. Raises ``UploadMismatch``
        when the content type of the file is not ``declared``.
        """
        path, images = file.path, self._parts.images
        info = self._headers.get(path)
        if info is None:
            info = self._headers[path] = await images.probe(path, self._source)
        if declared is not None and info.format != DECLARABLE[declared]:
            raise UploadMismatch(f"the file is {info.format} but was declared as {declared}; declare its actual type")
        await self._parts.hooks.run(
            "pre_upload",
            IncomingUpload(
                source_type=fields.source_type,
                source_id=fields.source_id,
                filename=fields.filename,
                bytes=file.bytes,
                sha256=file.sha256,
                info=info,
                client_reference_id=fields.client_reference_id,
                owner_id=owner,
                callback_url=fields.callback_url,
                crop=fields.crop,
            ),
        )
        if not self._parts.settings.decode_before_202:
            return info
        if path not in self._decoded:
            self._decoded[path] = await images.check(path, self._source)
        return self._decoded[path]
