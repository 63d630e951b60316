"""The functions that the host calls in an image process, and the state that all calls share."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from io import BufferedReader
from multiprocessing.connection import Connection
from time import process_time
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypeVar

from mediagate.config import Source
from mediagate.errors import ConfigError
from mediagate.images import wire
from mediagate.images.cores import Cores
from mediagate.images.memory import Memory
from mediagate.moderation import Moderator, judging
from mediagate.values import Framing, ImageInfo, Produced, Rendered, RenderedFile

if TYPE_CHECKING:
    from mediagate.images.operations import Operations, Recipe
    from mediagate.images.previews import Previewing

Made = TypeVar("Made", "Rendered", "Produced")
Answer: TypeAlias = "Rendered | Produced | RenderedFile | ImageInfo"


@dataclass
class Shared:
    """State that the images of one process share."""

    moderator: Moderator | None = None
    memory: Memory = field(default_factory=Memory)
    operations: Operations | None = None
    pipe: Connection[Any, Any] | None = None
    cores: Cores | None = None
    lent: IO[bytes] | None = None
    """The lock file of all cores, opened once for all image processes."""


shared = Shared()


def probe(file: BufferedReader, source: Source, whole: bool, password: str | None = None) -> ImageInfo:
    """Read a file's header, or with ``whole`` all of a picture; ``password`` is that of an encrypted document."""
    from mediagate.images import documents, pixels

    if documents.begins_document(file):
        return documents.probe(file.read(), source, password)
    return pixels.probe(file, source, shared.memory.image_bytes, pixels=whole)


def unlock(file: IO[bytes], source: Source, password: str) -> RenderedFile:
    """Return an encrypted document without its encryption."""
    from mediagate.images import documents

    return documents.unlock(file.read(), source, password)


def render(data: bytes, source: Source, framing: Framing, time_s: float, previews: int, files: bool) -> Rendered:
    """Render a file: verdict, and with ``files`` variants and original; timings include the CPU time of all threads.

    Refuses a picture that cannot be judged in ``time_s`` seconds. ``previews`` is the input edge of a remote moderator
    in pixels, 0 without one; if the picture may be published, the judged pictures are returned as JPEGs for it. They
    suit the largest and the smallest input edge of all moderators.
    """
    from mediagate.images import render

    began = process_time()
    moderator, seen = _judging(source, previews)
    limits: dict[str, Any] = {"memory_bytes": shared.memory.image_bytes, "time_s": time_s}
    make = partial(render.render, data, source, framing.focal, moderator, crop=framing.crop, publish=files, **limits)
    make = partial(make, operations=shared.operations)
    if files and shared.pipe is not None:
        make = partial(make, told=partial(wire.send_stage, shared.pipe))
    if shared.cores is None:
        rendered = make()
    else:
        with shared.cores.used():
            rendered = make(threads=2, borrow=shared.cores.borrow)
    return _completed(rendered, began, seen)


def run_pipeline(
    data: bytes,
    recipe: Recipe,
    source: Source,
    page: int | None,
    inputs: Mapping[str, bytes],
    time_s: float,
    previews: int,
) -> Produced:
    """Run a recipe on a file, or on one page; the host is told that the inputs are allowed, and of each step, at once.

    ``previews`` as for ``render``.
    """
    from mediagate.images import pipeline, pipeline_wire

    if shared.operations is None or shared.pipe is None:
        raise ConfigError("this gate runs no pipelines: its image processes have no operations")
    began = process_time()
    moderator, seen = _judging(source, previews)
    with contextlib.nullcontext() if shared.cores is None else shared.cores.used():
        produced = pipeline.run(
            data,
            recipe,
            source,
            shared.operations,
            moderator,
            page=page,
            inputs=inputs,
            memory_bytes=shared.memory.image_bytes,
            time_s=time_s,
            judged=partial(wire.send_stage, shared.pipe, pipeline_wire.JUDGED),
            told=partial(pipeline_wire.send_step, shared.pipe),
        )
    return _completed(produced, began, seen)


def _judging(source: Source, previews: int) -> tuple[Moderator | None, Previewing | None]:
    """Return the moderator of a source's pictures, and the same once more if it collects previews."""
    moderator = judging(shared.moderator, source, required=not previews)
    if not previews:
        return moderator, None
    from mediagate.images.previews import Previewing

    seen = Previewing(moderator, previews)
    return seen, seen


def _completed(answer: Made, began: float, seen: Previewing | None) -> Made:
    """Return an answer with its CPU time, and with previews if its picture may be published."""
    cpu_ms = round((process_time() - began) * 1000, 2)
    jpegs = tuple(seen.jpegs) if seen is not None and answer.verdict.decision == "allow" else ()
    return replace(answer, timings_ms={**answer.timings_ms, "cpu": cpu_ms}, previews=jpegs)
