"""The shapes of what image processes answer: every transmitted field, one line each."""

from __future__ import annotations

from typing import get_args

from mediagate.images.json_shapes import Read, Shape, flag, number, optional, several, table, text, whole
from mediagate.images.sandbox import Walls
from mediagate.moderation import MAX_NAME
from mediagate.values import EXTENSIONS, Decision, ImageInfo, Rendered, RenderedFile, Verdict

LONGEST_EDGE = 2**31 - 1
MAX_PREVIEWS = 10_000
MAX_FILE_NAME = 64 + len(".jpeg")
LABEL = text(500)
VERDICT = Shape(
    Verdict,
    decision=text(10, "|".join(get_args(Decision))),
    flags=several(LABEL, 100_000),
    scores=table(LABEL, number(1), 100_000),
    confidence=number(1),
    model=text(10_000),
    model_hash=text(10_000),
    reason=text(2000),
    complete=flag,
    models=table(text(MAX_NAME), text(128), 1000),
    group_scores=table(LABEL, number(1), 100_000),
)
INFO = Shape(
    ImageInfo,
    format=text(4, "|".join((*EXTENSIONS, "pdf"))),
    width=whole(1, LONGEST_EDGE),
    height=whole(1, LONGEST_EDGE),
    frames=whole(1, 1_000_000),
)
WALLS = Shape(
    Walls,
    memory=flag,
    landlock=whole(0, 1000),
    seccomp=flag,
    network=flag,
    missing=text(500),
)


def rendered_file(data: Read) -> Read:
    """Read a file; ``data`` maps an index to its bytes."""
    return Shape(
        RenderedFile,
        name=text(MAX_FILE_NAME, r"[a-z0-9_-]+(\.[a-z]+)?"),
        format=text(4, "|".join(EXTENSIONS)),
        width=whole(1, LONGEST_EDGE),
        height=whole(1, LONGEST_EDGE),
        data=data,
    )


def rendered(data: Read) -> Read:
    """Read a rendered picture."""
    file = rendered_file(data)
    return Shape(
        Rendered,
        verdict=VERDICT,
        info=INFO,
        variants=several(file, 4000),
        original=optional(file),
        blurhash=text(200, r"[0-9A-Za-z#$%*+,\-.:;=?@\[\]^_{|}~]*"),
        thumbhash=optional(text(60, "[0-9A-Za-z+/]+={0,2}")),
        dominant_color=text(7, "(#[0-9a-f]{6})?"),
        aspect_ratio=text(25, "([0-9]+:[0-9]+)?"),
        has_alpha=flag,
        removed=several(text(40, "[a-z_]+"), 50),
        warnings=several(text(2000), 100),
        timings_ms=table(text(40), number(), 100),
        model_runs=whole(0, 10_000_000),
        previews=several(data, MAX_PREVIEWS),
    )
