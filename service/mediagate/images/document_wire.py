"""The message with a document that was unlocked. The host does not trust it."""

from __future__ import annotations

from typing import Any

from mediagate.config import Source
from mediagate.images.answer_shapes import LONGEST_EDGE
from mediagate.images.json_shapes import Malformed, Shape, text, whole
from mediagate.images.wire import Pipe, receive, receive_bytes
from mediagate.values import RenderedFile

COPY_SIZE = 4
"""How many times as large as the largest accepted file a copy may be: PDFium does not compress again."""


def receive_unlocked(pipe: Pipe, *, source: Source) -> bytes:
    """Return a document that a source accepts, without its encryption; raises like ``wire.receive``."""
    most = COPY_SIZE * source.max_bytes

    def data(size: Any) -> bytes:
        return receive_bytes(pipe, whole(1, most)(size))

    edge = whole(1, LONGEST_EDGE)
    shape = Shape(RenderedFile, name=text(8, "unlocked"), format=text(3, "pdf"), width=edge, height=edge, data=data)
    file: RenderedFile = receive(pipe, shape)
    if not file.data.startswith(b"%PDF-"):
        raise Malformed("not a document")
    return file.data
