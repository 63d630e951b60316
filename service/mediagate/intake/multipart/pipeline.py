"""The body of ``POST /pipelines``: files and a JSON document ``request`` in any order, streamed into the spool."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multipart import MultipartSegment
from starlette.requests import Request

from mediagate.errors import BadUpload
from mediagate.intake.body import Patience, open_body
from mediagate.intake.file_head import FileHead
from mediagate.intake.multipart.form import decoded, name_of_file, read_form
from mediagate.intake.plain import read_object
from mediagate.intake.size_limit import check_size
from mediagate.intake.spool import EMPTY, SpooledFile, SpoolFile, spool_files
from mediagate.intake.unknown_names import find_unknown
from mediagate.values import MOST_INPUTS

REQUEST = "request"
FILES = ("file", "files[]", "files")
"""Names of files on which the steps run. A file under any other name is a picture that a step refers to by it."""
MAX_REQUEST = 4 * 1024 * 1024
"""Bytes of the document; the largest table of colours has 2 MB."""
MAX_OVERHEAD = MAX_REQUEST + 512 * 1024
MAX_PARTS = 64
HOW = "send multipart/form-data with the parts file or files[], and request with a JSON object"

_PICTURE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class FormFile:
    """One received file; ``picture`` is its name if a step may refer to it, ``None`` if the steps run on it."""

    file: SpooledFile
    filename: str
    picture: str | None


@dataclass(frozen=True, slots=True)
class FormPipeline:
    """A received request: its files, in order, and its document."""

    files: tuple[FormFile, ...]
    document: dict[str, Any]
    ignored: tuple[str, ...] = ()
    """Unknown fields."""


@asynccontextmanager
async def receive_pipeline(
    request: Request,
    spool_dir: Path,
    *,
    max_bytes: int,
    patience: Patience,
    check_head: Callable[[bytes], None],
    strict: bool = False,
) -> AsyncIterator[FormPipeline]:
    """Receive the files of a pipeline into the spool, where they stay for the length of the block.

    Each file has up to ``max_bytes``; ``check_head`` is called with its first bytes and may refuse it by raising.
    Raises the errors of ``read_form`` and ``read_object``, ``BadUpload`` for too many files, empty ones, and a part
    that is no file, and ``InvalidParameter`` for a field that resembles a known one and, if ``strict``, for any unknown
    field.
    """
    async with spool_files(spool_dir) as begin:
        async with open_body(request, patience) as body:
            form = _PipelineForm(begin, max_bytes, check_head)
            await read_form(body, request, form)
            received = form.finish(strict=strict)
        yield received


class _PipelineForm:
    """The form of ``POST /pipelines``."""

    most_parts = MAX_PARTS
    most_overhead = MAX_OVERHEAD
    how = HOW

    def __init__(self, begin: Callable[[], SpoolFile], max_bytes: int, check_head: Callable[[bytes], None]) -> None:
        self._begin_file = begin
        self._max_bytes = max_bytes
        self._check_head = check_head
        self._finished: list[FormFile] = []
        self._finished_bytes = 0
        self._file: SpoolFile | None = None
        self._head = FileHead(check_head)
        self._name, self._filename = "", ""
        self._document: bytearray | None = None
        self._ignored: dict[str, None] = {}

    @property
    def file_bytes(self) -> int:
        """Bytes of all files so far."""
        return self._finished_bytes + (self._file.bytes if self._file is not None else 0)

    def take(self, event: MultipartSegment | bytes | bytearray) -> None:
        """Process the head of a part, or the next of its bytes."""
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif self._file is not None:
            self._file.add(event)
            check_size(self._file.bytes, self._max_bytes, "the limit of its source")
            self._head.add(event)
        elif self._name == REQUEST and self._document is not None:
            self._document += event
            if len(self._document) > MAX_REQUEST:
                raise BadUpload(f"the field request has more than {MAX_REQUEST:,} bytes; {HOW}")

    async def end_part(self) -> None:
        """Complete a file."""
        if self._file is None:
            return
        if not self._file.bytes:
            raise BadUpload(EMPTY)
        file, self._file = await self._file.finish(), None
        self._finished_bytes += file.bytes
        picture = None if self._name in FILES else self._name
        self._finished.append(FormFile(file, self._filename, picture))

    async def flush(self) -> None:
        """Write what has been taken."""
        if self._file is not None:
            await self._file.flush()

    def check_declared(self, declared: int | None) -> None:
        """Raise ``UploadTooLarge`` if all files together must be too large."""
        if declared is not None:
            check_size(declared - MAX_OVERHEAD, self._max_bytes * MOST_INPUTS, f"the limit of {MOST_INPUTS} files")

    def finish(self, *, strict: bool) -> FormPipeline:
        """Return the request; raises ``BadUpload`` without a document."""
        known = {REQUEST, *FILES, *(file.picture for file in self._finished if file.picture is not None)}
        ignored = find_unknown(self._ignored, known, strict=strict)
        if self._document is None:
            raise BadUpload(f"missing from the form: {REQUEST}; {HOW}")
        return FormPipeline(tuple(self._finished), read_object(self._document, "the field request"), tuple(ignored))

    def _begin(self, part: MultipartSegment) -> None:
        self._name = decoded(part.name or "")
        if self._name == REQUEST:  # also as a file: browsers name a Blob, and curl sends request=@steps.json so
            if self._document is not None:
                raise BadUpload("the field request was sent twice; send it once")
            self._document = bytearray()
        elif part.filename is None and self._name in FILES:
            raise BadUpload(f"the field {self._name} is not a file; {HOW}")
        elif part.filename is None:
            self._ignored[self._name] = None
        else:
            self._begin_picture(part)

    def _begin_picture(self, part: MultipartSegment) -> None:
        if len(self._finished) == MOST_INPUTS:
            raise BadUpload(f"more than {MOST_INPUTS} files; send the others with another request")
        if self._name not in FILES:
            if not _PICTURE.fullmatch(self._name):
                raise BadUpload(
                    f"the file is in the field {self._name!r:.80}; send it in the field file or files[], or, if a step "
                    "refers to it, under a name of lower-case letters, digits, - and _"
                )
            if any(file.picture == self._name for file in self._finished):
                raise BadUpload(f"the picture {self._name} was sent twice; send it once")
        self._filename = name_of_file(part)
        self._file, self._head = self._begin_file(), FileHead(self._check_head)
