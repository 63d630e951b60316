"""The guard around steps on a file's pixels: whatever they raise, the same bytes would raise again."""

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
"""What our own lines raise of files that do not keep to their format; decoders raise whatever there is."""


@contextmanager
def final(doing: str) -> Iterator[None]:
    """Turn every exception of the block into one of ours, so that no job tries the same bytes again.

    Raises ``ImageTooLarge`` for a lack of memory, errors of ours as they are, and else ``UndecodableImage``. What comes
    from a line of ours and is not expected is a fault of ours, and logged.
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
            log.error("a fault of mediagate's own: %s raised %s at %s", doing, type(exc).__name__, place)
        raise damaged() from exc
