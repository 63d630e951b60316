"""The guard around steps on a file's pixels: whatever they raise, the same bytes would raise again."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import UnidentifiedImageError
from PIL.Image import DecompressionBombError, DecompressionBombWarning

from mediagate.errors import ImageTooLarge, MediagateError, UndecodableImage

log = logging.getLogger("mediagate")

EXPECTED = (OSError, ValueError, SyntaxError, EOFError, UnidentifiedImageError)
"""What decoders raise of files that do not keep to their format."""


@contextmanager
def final(doing: str) -> Iterator[None]:
    """Turn every exception of the block into one of ours, so that no job tries the same bytes again.

    Raises ``ImageTooLarge`` for a lack of memory, errors of ours as they are, and else ``UndecodableImage``. One line
    in the log says where it came from, unless it is of a kind that damaged files cause.
    """
    try:
        yield
    except MediagateError:
        raise
    except (MemoryError, DecompressionBombError, DecompressionBombWarning):
        raise ImageTooLarge("the picture needs more memory than one image may use; send a smaller one") from None
    except Exception as exc:
        if not isinstance(exc, EXPECTED):
            log.error("%s a picture raised %s in %s", doing, type(exc).__name__, _place(exc))
        raise UndecodableImage("the picture is damaged or incomplete; export it again, and send that") from exc


def _place(exc: Exception) -> str:
    """Return the innermost line of ours and the innermost of all."""
    frames = traceback.extract_tb(exc.__traceback__)
    ours = [frame for frame in frames if "mediagate" in Path(frame.filename).parts]
    told = dict.fromkeys(f"{Path(frame.filename).name}:{frame.lineno}" for frame in (*ours[-1:], *frames[-1:]))
    return ", ".join(told)
