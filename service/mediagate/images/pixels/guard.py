"""The guard around steps on a file's pixels: their errors are final, since the same bytes would raise them again."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL.Image import DecompressionBombError, DecompressionBombWarning

from mediagate.errors import ImageTooLarge, MediagateError
from mediagate.images.pixels.allocation import ran_out_of_memory
from mediagate.images.pixels.formats import damaged

log = logging.getLogger("mediagate")

OURS = Path(__file__).parents[1]
EXPECTED = (OSError, ValueError, EOFError)
"""Errors that mediagate's own lines raise for malformed files; decoders raise any kind."""


@contextmanager
def final(doing: str) -> Iterator[None]:
    """Turn every exception of the block into one of mediagate's errors, so that no job is retried with the same bytes.

    Raises ``ImageTooLarge`` for a lack of memory, mediagate's errors unchanged, and ``UndecodableImage`` for all other
    errors. An unexpected error from one of mediagate's own lines is a bug and is logged.
    """
    try:
        yield
    except MediagateError:
        raise
    except Exception as exc:
        if ran_out_of_memory(exc) or isinstance(exc, DecompressionBombError | DecompressionBombWarning):
            raise ImageTooLarge("the picture needs more memory than one image may use; send a smaller one") from None
        raised = traceback.extract_tb(exc.__traceback__)[-1]
        if OURS in Path(raised.filename).parents and not isinstance(exc, EXPECTED):
            place = f"{Path(raised.filename).name}:{raised.lineno}"
            log.error("bug in mediagate: %s raised %s at %s", doing, type(exc).__name__, place)
        raise damaged() from exc
