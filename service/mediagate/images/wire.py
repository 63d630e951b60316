"""The answers of an image process as bytes: JSON, then the published files, each preceded by its length.

A process that decodes a hostile file may be compromised by it, so the host treats each answer as hostile: nothing is
unpickled, every type, range and size is checked, and a process whose answer is ``Malformed`` is killed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from mediagate.config import Source
from mediagate.errors import (
    AnimationRefused,
    ConfigError,
    ImageTimeout,
    ImageTooLarge,
    MediagateError,
    ModerationFailed,
    OperationFailed,
    PasswordRequired,
    ProcessingError,
    UndecodableImage,
    UnsupportedType,
)
from mediagate.images.answer_shapes import INFO, VERDICT, WALLS, rendered
from mediagate.images.file_checks import SIGNATURES, check_file, check_variants
from mediagate.images.json_shapes import Malformed, Read, text, whole
from mediagate.images.sandbox import Walls
from mediagate.values import ImageInfo, Produced, Rendered, RenderedFile

Pipe: TypeAlias = "Connection[Any, Any]"

HEAD_BYTES = 4 << 20
"""The longest JSON of an answer; a moderator of ten thousand labels needs a tenth of it."""
LONGEST_DETAIL = 4000
MOST_STEPS = 1000
STAGES = ("decode", "judge")
"""What the host is told while a picture is rendered, in this order."""
ERRORS: Mapping[str, type[MediagateError]] = {
    error.code: error
    for error in (
        AnimationRefused,
        ConfigError,
        ImageTimeout,
        ImageTooLarge,
        ModerationFailed,
        OperationFailed,
        PasswordRequired,
        ProcessingError,
        UndecodableImage,
        UnsupportedType,
    )
}
"""The errors that an image process may report, by their code."""


# -- the process's side


def send(pipe: Pipe, answer: Rendered | Produced | RenderedFile | ImageInfo | Walls | MediagateError) -> None:
    """Send an answer. One that the host would reject becomes ``ModerationFailed``, since its verdict is at fault."""
    if isinstance(answer, MediagateError):
        place = {} if answer.step is None else {"step": answer.step, "op": answer.op}
        pipe.send_bytes(encoded({"error": {"code": answer.code, "detail": answer.detail[:LONGEST_DETAIL], **place}}))
        return
    try:
        if isinstance(answer, Rendered | Produced):
            VERDICT(json.loads(encoded(answer.verdict)))
        head = encoded({"answer": answer})
    except (Malformed, TypeError, ValueError) as exc:
        send(pipe, ModerationFailed(f"the moderator's verdict cannot be sent: {exc}"))
        return
    pipe.send_bytes(head)
    if isinstance(answer, RenderedFile):
        pipe.send_bytes(answer.data)
    elif isinstance(answer, Rendered | Produced):
        files = answer.files if isinstance(answer, Rendered) else answer.outputs
        for data in (*(file.data for file in files), *answer.previews):
            pipe.send_bytes(data)


def send_stage(pipe: Pipe, stage: str) -> None:
    """Tell the host that one of ``STAGES`` of a picture is done."""
    pipe.send_bytes(encoded({"stage": stage}))


def encoded(value: object) -> bytes:
    """Return a value as JSON, of files their lengths; raises ``ValueError`` and ``TypeError``."""
    return json.dumps(value, default=_plain, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    """Convert a value for JSON: a dataclass to its fields, bytes to an index, numpy's numbers to Python's."""
    if isinstance(value, bytes):
        return len(value)
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    return list(value)


# -- the host's side


def receive(pipe: Pipe, read: Read) -> Any:
    """Return an answer; raises the error that it reports, ``Malformed``, and ``EOFError`` or ``OSError`` at its end."""
    return answered(receive_head(pipe), read)


def receive_head(pipe: Pipe) -> Any:
    """Return the JSON of a message; raises like ``receive``."""
    head = receive_bytes(pipe, HEAD_BYTES)
    try:
        return json.loads(head)
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None


def answered(value: Any, read: Read) -> Any:
    """Return the answer in a message; raises the error that it reports, and ``Malformed``."""
    if type(value) is dict and value.keys() == {"answer"}:
        return read(value["answer"])
    if type(value) is not dict or value.keys() != {"error"}:
        raise Malformed("neither an answer nor an error")
    reported = value["error"]
    if type(reported) is not dict or reported.keys() - {"step", "op"} != {"code", "detail"}:
        raise Malformed("not an error")
    code, detail = text(64)(reported["code"]), text(LONGEST_DETAIL)(reported["detail"])
    if code not in ERRORS:
        raise Malformed("an unknown error code")
    error = ERRORS[code](detail)
    if reported.keys() & {"step", "op"}:
        error.step, error.op = whole(0, MOST_STEPS)(reported.get("step")), text(64)(reported.get("op"))
    raise error


def receive_rendered(
    pipe: Pipe, source: Source, *, memory_bytes: int, previews: bool, told: Callable[[str], object] = lambda _: None
) -> Rendered:
    """Return a rendered picture of this source, with ``previews`` if requested; raises like ``receive``.

    Only requested files are accepted; together they may not exceed the memory of an image. ``told`` is called with each
    of ``STAGES`` when it is done.
    """
    answer = _receive_verdict(pipe, source, memory_bytes, previews=previews, told=told)
    if answer.verdict.decision != "allow":
        return answer
    check_variants(answer, source)
    if (answer.original is not None) != (source.original == "keep"):
        raise Malformed("an unrequested original, or a missing one")
    if answer.original is not None:
        if answer.original.name != "original":
            raise Malformed("an original with a wrong name")
        check_file(answer.original, answer.info, answer.info.width, answer.info.height)
    if (answer.thumbhash is not None) != ("thumbhash" in source.placeholders):
        raise Malformed("an unrequested ThumbHash, or a missing one")
    return answer


def receive_judged(pipe: Pipe, source: Source, *, memory_bytes: int, previews: bool) -> Rendered:
    """Return a picture of this source that was only judged, with ``previews`` if requested; raises like ``receive``."""
    answer = _receive_verdict(pipe, source, memory_bytes, previews=previews)
    if answer.files:
        raise Malformed("files that were not requested")
    return answer


def _receive_verdict(
    pipe: Pipe, source: Source, memory_bytes: int, *, previews: bool, told: Callable[[str], object] = lambda _: None
) -> Rendered:
    left = memory_bytes

    def data(size: Any) -> bytes:
        nonlocal left
        left -= whole(1, left)(size)
        sent = receive_bytes(pipe, size)
        if len(sent) != size:
            raise Malformed("a length that differs from the announced one")
        return sent

    message = receive_head(pipe)
    for stage in STAGES:
        if message == {"stage": stage}:
            told(stage)
            message = receive_head(pipe)
    answer: Rendered = answered(message, rendered(data))
    check_info(answer.info, source)
    if answer.verdict.decision != "allow":
        if answer.files or answer.previews:
            raise Malformed("files of a picture that may not be published")
    elif bool(answer.previews) != previews or not all(map(SIGNATURES["jpeg"].match, answer.previews)):
        raise Malformed("unrequested previews, or missing ones")
    return answer


def receive_bytes(pipe: Pipe, most: int) -> bytes:
    """Return one message of at most ``most`` bytes; raises like ``receive``."""
    try:
        return pipe.recv_bytes(most)
    except OSError:
        if not pipe.readable:  # the connection closes itself after such a length
            raise Malformed("a message beyond the longest allowed") from None
        raise


def receive_info(pipe: Pipe, source: Source) -> ImageInfo:
    """Return the information of a header; raises like ``receive``."""
    info: ImageInfo = receive(pipe, INFO)
    check_info(info, source)
    return info


def receive_walls(pipe: Pipe) -> Walls:
    """Return the walls of a process that is ready; raises like ``receive``."""
    walls: Walls = receive(pipe, WALLS)
    return walls


def check_info(info: ImageInfo, source: Source) -> None:
    """Raise ``Malformed`` for a picture that its source would have refused."""
    if info.format not in source.formats:
        raise Malformed("a picture of a format that its source does not accept")
    pages = info.frames if info.format == "pdf" else 1  # rendered one by one
    frames = source.max_frames if source.animation == "keep" and info.format != "pdf" else pages
    if info.width * info.height > source.max_pixels or info.frames > frames:
        raise Malformed("a picture beyond the limits of its source")
