"""read_text: the text layer of a document's page, as data."""

from __future__ import annotations

from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import PDF, Context, Json, Operation, Params

LONGEST_TEXT = 20_000
"""Characters of one page; a page of a book has some 3,000."""


class ReadText(Params):
    """Return the text that the page contains as text; a scanned page has none."""


def read_text(frames: Frames, params: ReadText, context: Context) -> Json:
    """Return the text in the order of the document, cut at 20,000 characters.

    It is what the file says, which need not be what the page shows, and no moderator judges it.
    """
    assert context.page is not None  # as for every operation that takes a page
    text, truncated = context.page.text(LONGEST_TEXT)
    return {"text": text, "truncated": truncated}


READ_TEXT = Operation(
    "read_text", "document", ReadText, read_text, RATES["read_text"], gives="data", takes="page", needs=PDF
)
