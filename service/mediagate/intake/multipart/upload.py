"""The body of ``POST /upload``: one file and text fields, streamed into the spool under limits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from multipart import MultipartSegment
from starlette.requests import Request

from mediagate.errors import BadUpload
from mediagate.intake.body import Patience, open_body
from mediagate.intake.file_head import FileHead
from mediagate.intake.multipart.form import decoded, name_of_file, read_form
from mediagate.intake.size_limit import check_size
from mediagate.intake.spool import EMPTY, SpoolFile, spool_file
from mediagate.intake.unknown_names import find_unknown

FILE = "file"
METADATA = "metadata of the file"
REQUIRED = ("sourceType", "sourceId")
FIELDS = frozenset({*REQUIRED, "clientReferenceId", "callbackUrl", "focalX", "focalY", "crop"})
"""Known text fields; others are ignored."""
MAX_PARTS = 65
"""One file and 64 text fields."""
MAX_FIELD = 4 * 1024
"""Bytes of one text field."""
MAX_OVERHEAD = 512 * 1024
"""Bytes of a body outside the file: fields, headers, boundaries, preamble and epilogue."""

HOW = "send multipart/form-data with the parts sourceType, sourceId and file"


@dataclass(frozen=True, slots=True)
class FormUpload:
    """A received file: its spool path, size in bytes and SHA-256 (hex), and the form fields."""

    path: Path
    bytes: int
    sha256: str
    filename: str
    """The client's name of the file, cleaned for display; never part of a path."""
    fields: Mapping[str, str]
    ignored: tuple[str, ...] = ()
    """Unknown fields."""


@asynccontextmanager
async def receive_upload(
    request: Request,
    spool_dir: Path,
    *,
    limits: Mapping[str, int],
    patience: Patience,
    on_source: Callable[[str], Awaitable[None]] | None = None,
    check_head: Callable[[bytes, str | None], None] | None = None,
    strict: bool = False,
) -> AsyncIterator[FormUpload]:
    """Receive an upload into the spool, where it stays for the length of the block.

    ``limits`` maps source types to the maximum bytes of a file; until ``sourceType`` arrives, the largest applies.
    ``on_source`` is called with a source type of ``limits`` as soon as it arrives. ``check_head`` is called with the
    first bytes of the file, and the source type if that has arrived before. Both may refuse the upload by raising.

    Raises the errors of ``read_form``, ``BadUpload`` with the missing parts, and ``InvalidParameter`` for a field that
    resembles a known one and, if ``strict``, for any unknown field.
    """
    async with spool_file(spool_dir) as file:
        async with open_body(request, patience) as body:
            form = _UploadForm(limits, file, check_head, on_source, strict=strict)
            await read_form(body, request, form)
            upload = await form.finish()
        yield upload


class _UploadForm:
    """The form of ``POST /upload``: one file, and text fields."""

    most_parts = MAX_PARTS
    most_overhead = MAX_OVERHEAD
    how = HOW

    def __init__(
        self,
        limits: Mapping[str, int],
        file: SpoolFile,
        check_head: Callable[[bytes, str | None], None] | None,
        on_source: Callable[[str], Awaitable[None]] | None,
        *,
        strict: bool,
    ) -> None:
        self._strict = strict
        self._on_source = on_source
        self._names: dict[str, None] = {}
        self.file = file
        self._head = FileHead(lambda head: check_head(head, self._fields.get("sourceType"))) if check_head else None
        self._limits = limits
        self._largest = max(limits.values())
        self._fields: dict[str, str] = {}
        self._filename: str | None = None
        self._misplaced: str | None = None
        self._name = ""
        self._unnamed = False
        self._text = bytearray()

    @property
    def file_bytes(self) -> int:
        """Bytes of the file so far."""
        return self.file.bytes

    def take(self, event: MultipartSegment | bytes | bytearray) -> None:
        """Process the head of a part, or the next of its bytes."""
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif self._name == FILE and self._begins_metadata(event):
            self._name, self._filename = METADATA, None
            self.take(event)
        elif self._name == FILE:
            self.file.add(event)
            self._check_size(self.file.bytes)
            if self._head is not None:
                self._head.add(event)
        else:
            self._text += event
            if len(self._text) > MAX_FIELD:
                if self._misplaced == self._name:
                    raise _in_another_field(self._name)
                raise BadUpload(f"the field {self._name!r:.80} has more than {MAX_FIELD:,} bytes; {HOW}")

    async def end_part(self) -> None:
        """Check a field, and tell the source type as soon as it is known."""
        self._end()
        source = self._fields.get("sourceType", "") if self._name == "sourceType" else ""
        if self._on_source is not None and source in self._limits:
            await self._on_source(source)

    async def flush(self) -> None:
        """Write what has been taken."""
        await self.file.flush()

    def check_declared(self, declared: int | None) -> None:
        """Raise ``UploadTooLarge`` if the ``Content-Length`` implies that the file is too large."""
        if declared is not None:
            self._check_size(declared - MAX_OVERHEAD)

    async def finish(self) -> FormUpload:
        """Return the upload; raises ``BadUpload`` with the missing parts."""
        if self._filename is None and self._misplaced is not None:
            raise _in_another_field(self._misplaced)
        ignored = find_unknown(self._names, {*FIELDS, FILE}, strict=self._strict)
        missing = [name for name in REQUIRED if name not in self._fields]
        missing += [] if self._filename is not None else [FILE]
        if missing:
            raise BadUpload(f"missing from the form: {', '.join(missing)}; {HOW}")
        if not self.file.bytes:
            raise BadUpload(EMPTY)
        spooled = await self.file.finish()
        return FormUpload(
            spooled.path, spooled.bytes, spooled.sha256, self._filename or "", self._fields, tuple(ignored)
        )

    def _begins_metadata(self, piece: bytes | bytearray) -> bool:
        """Return whether the part is the JSON that FilePond sends before a file, under the same field name."""
        # No picture format begins with a brace.
        return self._unnamed and not self.file.bytes and piece.startswith(b"{")

    def _begin(self, part: MultipartSegment) -> None:
        self._name = decoded(part.name or "")
        self._unnamed = part.filename is None
        self._names[self._name] = None
        self._text.clear()
        if self._name == FILE:
            if self._filename is not None:
                raise BadUpload("the form has two files; send a separate upload for each")
            self._filename = name_of_file(part)
        elif part.filename is not None:
            self._misplaced = self._name
        if self._name in self._fields:
            raise BadUpload(f"the field {self._name} was sent twice; send it once")

    def _end(self) -> None:
        if self._name in FIELDS:
            try:
                self._fields[self._name] = self._text.decode()
            except UnicodeDecodeError:
                raise BadUpload(f"the field {self._name} is not valid UTF-8; encode it as UTF-8") from None
            self._check_size(self.file.bytes)

    def _check_size(self, size: int) -> None:
        """Raise ``UploadTooLarge`` above the limit of the source, which may arrive after the file."""
        only = next(iter(self._limits)) if len(self._limits) == 1 else ""
        source = self._fields.get("sourceType", only)
        if source in self._limits:
            check_size(size, self._limits[source], f"the limit of {source}")
        else:
            check_size(size, self._largest, "the largest limit of any source")


def _in_another_field(name: str) -> BadUpload:
    return BadUpload(f"the file is in the field {name!r:.80}; send it in the field file, as curl's -F file=@… does")
