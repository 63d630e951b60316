"""The body of ``POST /upload``: ``multipart/form-data`` with one file, streamed into the spool under limits."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.requests import Request

from mediagate.errors import BadUpload
from mediagate.intake.body import Patience, RequestBody, open_body
from mediagate.intake.file_head import FileHead
from mediagate.intake.size_limit import check_size
from mediagate.intake.spool import EMPTY, SpoolFile, spool_file
from mediagate.intake.unknown_names import find_unknown
from mediagate.values import display_name

FILE = "file"
METADATA = "metadata of the file"
REQUIRED = ("sourceType", "sourceId")
FIELDS = frozenset({*REQUIRED, "clientReferenceId", "callbackUrl", "focalX", "focalY"})
"""Known text fields; others are ignored."""
MAX_PARTS = 65
"""One file and 64 text fields."""
MAX_FIELD = 4 * 1024
"""Bytes of one text field."""
MAX_HEADER = 4 * 1024
"""Bytes of one header line of a part, which includes the file name."""
MAX_HEADERS = 8
"""Header lines of a part; RFC 7578 defines three."""
MAX_OVERHEAD = 512 * 1024
"""Bytes of a body outside the file: fields, headers, boundaries, preamble and epilogue."""
MAX_BOUNDARY = 70
"""Characters (RFC 2046, section 5.1.1)."""
PIECE = 1024 * 1024
"""Size of the pieces in which a chunk is parsed and checked; a server may deliver a body in a single chunk."""

HOW = "send multipart/form-data with the parts sourceType, sourceId and file"

_FILENAME_EXTENDED = re.compile(r";\s*filename\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^;\s\"]+)", re.IGNORECASE)


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
    Memory is bounded by about 3 MiB (a batch being written and one being received) plus the server's chunk, whatever
    the size of the file.

    Raises ``UploadTooLarge`` before the body is complete, ``BadUpload``, ``InvalidParameter`` for a field that
    resembles a known one and, if ``strict``, for any unknown field, ``UploadTimeout`` when ``patience`` is exhausted,
    ``StorageUnavailable`` when the disk is full, and Starlette's ``ClientDisconnect``.
    """
    async with spool_file(spool_dir) as file:
        async with open_body(request, patience) as body:
            form = _Form(limits, file, check_head, strict=strict)
            upload = await _receive(body, _boundary(request), form, on_source)
        yield upload


async def _receive(
    body: RequestBody, boundary: str, form: _Form, on_source: Callable[[str], Awaitable[None]] | None
) -> FormUpload:
    form.check_declared(body.declared)
    parser = PushMultipartParser(
        boundary,
        max_header_size=MAX_HEADER,
        max_header_count=MAX_HEADERS,
        max_segment_count=MAX_PARTS,
        header_charset="latin-1",  # accepts any bytes; ``_decoded`` detects the encoding
    )
    try:
        while chunk := await body.read():
            for start in range(0, len(chunk), PIECE):
                for event in parser.parse(chunk[start : start + PIECE]):
                    form.take(event)
                    if event is None and on_source is not None and (source := form.new_source()):
                        await on_source(source)
                await form.file.flush()
            form.check_declared(body.declared)
            if body.received - form.file.bytes > MAX_OVERHEAD:
                raise BadUpload(f"the body has more than {MAX_OVERHEAD:,} bytes outside the file; {HOW}")
        parser.close()
    except MultipartError as exc:
        raise BadUpload(f"the body is not complete multipart/form-data ({exc}); {HOW}") from exc
    return await form.finish()


class _Form:
    """The parts of a body, collected and validated."""

    def __init__(
        self,
        limits: Mapping[str, int],
        file: SpoolFile,
        check_head: Callable[[bytes, str | None], None] | None,
        *,
        strict: bool,
    ) -> None:
        self._strict = strict
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

    def take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        """Process an event of the parser: the head of a part, its bytes, ``None`` at its end."""
        if event is None:
            self._end()
        elif isinstance(event, MultipartSegment):
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

    def new_source(self) -> str | None:
        """Return the source type if the part that has just ended named a configured source."""
        source = self._fields.get("sourceType", "") if self._name == "sourceType" else ""
        return source if source in self._limits else None

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
        self._name = _decoded(part.name or "")
        self._unnamed = part.filename is None
        self._names[self._name] = None
        self._text.clear()
        if self._name == FILE:
            if self._filename is not None:
                raise BadUpload("the form has two files; send a separate upload for each")
            self._filename = _display_name(part)
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


def _boundary(request: Request) -> str:
    kind, options = parse_options_header(request.headers.get("Content-Type", ""))
    if kind != "multipart/form-data":
        raise BadUpload(f"the content type is {kind or 'missing'!r:.80}; {HOW}")
    boundary: str = options.get("boundary", "")
    if not (0 < len(boundary) <= MAX_BOUNDARY and boundary.isascii() and boundary.isprintable()):
        raise BadUpload(f"the content type has no boundary of 1 to {MAX_BOUNDARY} characters; let your client set it")
    return boundary


def _in_another_field(name: str) -> BadUpload:
    return BadUpload(f"the file is in the field {name!r:.80}; send it in the field file, as curl's -F file=@… does")


def _decoded(text: str) -> str:
    """Return a header's text, decoded as Latin-1 before, as UTF-8 if it is valid (RFC 7578, section 5.1)."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


def _display_name(part: MultipartSegment) -> str:
    name = _decoded(part.filename or "")
    for header, value in part.headerlist:
        # RFC 8187: browsers do not send it, but some libraries do, and then it is the more accurate one.
        if header == "Content-Disposition" and (extended := _FILENAME_EXTENDED.search(value)):
            name = unquote(extended[2], encoding=extended[1], errors="replace")
    return display_name(name)
