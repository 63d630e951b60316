"""The body of ``POST /pipelines`` and ``POST /batches``: files and a JSON document, streamed into the spool."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multipart import MultipartSegment
from starlette.requests import Request

from mediagate.errors import BadUpload, RequestError, UploadTooLarge
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
OTHER_PARTS = 54
"""Parts of the form that are no files."""
HOW = "send multipart/form-data with the parts file or files[], and request with a JSON object"
HOW_NAMED = "send multipart/form-data with the part request, a JSON object, and each file in a part of its own name"

_PICTURE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class FormLimits:
    """The files that a form may have; ``bytes`` is the limit of all of them together."""

    files: int = MOST_INPUTS
    bytes: int | None = None
    named: bool = False
    """Whether each file has a name of its own, by which the document refers to it."""


ONE = FormLimits()
"""The limits of one pipeline."""


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
    limits: FormLimits = ONE,
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
            form = _PipelineForm(begin, max_bytes, check_head, limits)
            await read_form(body, request, form)
            received = form.finish(strict=strict)
        yield received


class _PipelineForm:
    """The form of ``POST /pipelines`` or ``POST /batches``."""

    most_overhead = MAX_OVERHEAD

    def __init__(
        self,
        begin: Callable[[], SpoolFile],
        max_bytes: int,
        check_head: Callable[[bytes], None],
        limits: FormLimits,
    ) -> None:
        self.most_parts = limits.files + OTHER_PARTS
        self.how = HOW_NAMED if limits.named else HOW
        self._limits = limits
        self._unnamed = () if limits.named else FILES
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
            with self._naming():
                check_size(self._file.bytes, self._max_bytes, "the limit of its source")
                self._head.add(event)
            self._check_total(self.file_bytes)
        elif self._name == REQUEST and self._document is not None:
            self._document += event
            if len(self._document) > MAX_REQUEST:
                raise BadUpload(f"the field request has more than {MAX_REQUEST:,} bytes; {self.how}")

    async def end_part(self) -> None:
        """Complete a file."""
        if self._file is None:
            return
        if not self._file.bytes:
            with self._naming():
                raise BadUpload(EMPTY)
        file, self._file = await self._file.finish(), None
        self._finished_bytes += file.bytes
        picture = None if self._name in self._unnamed else self._name
        self._finished.append(FormFile(file, self._filename, picture))

    async def flush(self) -> None:
        """Write what has been taken."""
        if self._file is not None:
            await self._file.flush()

    def check_declared(self, declared: int | None) -> None:
        """Raise ``UploadTooLarge`` if all files together must be too large."""
        if declared is not None:
            most = self._limits.files
            check_size(declared - MAX_OVERHEAD, self._max_bytes * most, f"the limit of {most} files")
            self._check_total(declared - MAX_OVERHEAD)

    def finish(self, *, strict: bool) -> FormPipeline:
        """Return the request; raises ``BadUpload`` without a document."""
        known = {REQUEST, *self._unnamed, *(file.picture for file in self._finished if file.picture is not None)}
        ignored = find_unknown(self._ignored, known, strict=strict)
        if self._document is None:
            raise BadUpload(f"missing from the form: {REQUEST}; {self.how}")
        return FormPipeline(tuple(self._finished), read_object(self._document, "the field request"), tuple(ignored))

    def _begin(self, part: MultipartSegment) -> None:
        self._name = decoded(part.name or "")
        if self._name == REQUEST:  # also as a file: browsers name a Blob, and curl sends request=@steps.json so
            if self._document is not None:
                raise BadUpload("the field request was sent twice; send it once")
            self._document = bytearray()
        elif part.filename is None and self._name in self._unnamed:
            raise BadUpload(f"the field {self._name} is not a file; {self.how}")
        elif part.filename is None:
            self._ignored[self._name] = None
        else:
            self._begin_picture(part)

    def _begin_picture(self, part: MultipartSegment) -> None:
        if len(self._finished) == self._limits.files:
            raise BadUpload(f"more than {self._limits.files} files; send the others with another request")
        if self._name not in self._unnamed:
            if not _PICTURE.fullmatch(self._name):
                other = "" if self._limits.named else "in the field file or files[], or, if a step refers to it, "
                raise BadUpload(
                    f"the file is in the field {self._name!r:.80}; send it {other}under a name of lower-case letters, "
                    "digits, - and _, at most 64"
                )
            if any(file.picture == self._name for file in self._finished):
                raise BadUpload(f"the picture {self._name} was sent twice; send it once")
        self._filename = name_of_file(part)
        self._file, self._head = self._begin_file(), FileHead(self._check_head)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Name the file in an error that is raised within the block, if there may be many."""
        try:
            yield
        except RequestError as exc:
            if self._limits.named:
                exc.begin_with(f"the file {self._name!r}")
            raise

    def _check_total(self, size: int) -> None:
        if self._limits.bytes is not None and size > self._limits.bytes:
            raise UploadTooLarge(
                f"all files together are larger than {self._limits.bytes:,} bytes; send some with another request",
                limit=self._limits.bytes,
            )
