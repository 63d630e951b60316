"""Bodies of ``multipart/form-data``, parsed as they arrive."""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import unquote

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.requests import Request

from mediagate.errors import BadUpload
from mediagate.intake.body import RequestBody
from mediagate.values import display_name

MAX_HEADER = 4 * 1024
"""Bytes of one header line of a part, which includes the file name."""
MAX_HEADERS = 8
"""Header lines of a part; RFC 7578 defines three."""
MAX_BOUNDARY = 70
"""Characters (RFC 2046, section 5.1.1)."""
PIECE = 1024 * 1024
"""Size of the pieces in which a chunk is parsed and checked; a server may deliver a body in a single chunk."""

_FILENAME_EXTENDED = re.compile(r";\s*filename\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^;\s\"]+)", re.IGNORECASE)


class Form(Protocol):
    """The parts of a body, collected and validated as they arrive."""

    most_parts: int
    most_overhead: int
    """Bytes of the body outside its files."""
    how: str
    """What to send, for errors."""

    @property
    def file_bytes(self) -> int:
        """Bytes of all files so far."""
        ...

    def take(self, event: MultipartSegment | bytes | bytearray) -> None:
        """Process the head of a part, or the next of its bytes."""

    async def end_part(self) -> None:
        """Process the end of a part."""

    async def flush(self) -> None:
        """Write what has been taken to the spool, if that is enough for a batch."""

    def check_declared(self, declared: int | None) -> None:
        """Raise ``UploadTooLarge`` if the ``Content-Length`` implies that a file is too large."""


async def read_form(body: RequestBody, request: Request, form: Form) -> None:
    """Read a body of ``multipart/form-data`` into a form.

    Memory is bounded by about 3 MiB (a batch being written and one being received) plus the server's chunk, whatever
    the size of the files. Raises ``UploadTooLarge`` before the body is complete, ``BadUpload``, ``UploadTimeout`` when
    the patience of the body is exhausted, ``StorageUnavailable`` when the disk is full, Starlette's
    ``ClientDisconnect``, and the errors of the form.
    """
    boundary = _boundary(request, form.how)
    form.check_declared(body.declared)
    parser = PushMultipartParser(
        boundary,
        max_header_size=MAX_HEADER,
        max_header_count=MAX_HEADERS,
        max_segment_count=form.most_parts,
        header_charset="latin-1",  # accepts any bytes; ``decoded`` detects the encoding
    )
    try:
        while chunk := await body.read():
            for start in range(0, len(chunk), PIECE):
                for event in parser.parse(chunk[start : start + PIECE]):
                    if event is None:
                        await form.end_part()
                    else:
                        form.take(event)
                await form.flush()
            form.check_declared(body.declared)
            if body.received - form.file_bytes > form.most_overhead:
                raise BadUpload(f"the body has more than {form.most_overhead:,} bytes outside the files; {form.how}")
        parser.close()
    except MultipartError as exc:
        raise BadUpload(f"the body is not complete multipart/form-data ({exc}); {form.how}") from exc


def _boundary(request: Request, how: str) -> str:
    kind, options = parse_options_header(request.headers.get("Content-Type", ""))
    if kind != "multipart/form-data":
        raise BadUpload(f"the content type is {kind or 'missing'!r:.80}; {how}")
    boundary: str = options.get("boundary", "")
    if not (0 < len(boundary) <= MAX_BOUNDARY and boundary.isascii() and boundary.isprintable()):
        raise BadUpload(f"the content type has no boundary of 1 to {MAX_BOUNDARY} characters; let your client set it")
    return boundary


def decoded(text: str) -> str:
    """Return a header's text, decoded as Latin-1 before, as UTF-8 if it is valid (RFC 7578, section 5.1)."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


def name_of_file(part: MultipartSegment) -> str:
    """Return the client's name of a file, cleaned for display."""
    name = decoded(part.filename or "")
    for header, value in part.headerlist:
        # RFC 8187: browsers do not send it, but some libraries do, and then it is the more accurate one.
        if header == "Content-Disposition" and (extended := _FILENAME_EXTENDED.search(value)):
            name = unquote(extended[2], encoding=extended[1], errors="replace")
    return display_name(name)
