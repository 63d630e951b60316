"""Moderators: their protocols, and their optional properties, each of which has a default."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from mediagate.errors import ConfigError, ModerationFailed
from mediagate.values import Verdict

INPUT_EDGE = 320
"""Default input edge of a moderator, in pixels."""

MAX_NAME = 64
"""Characters of a moderator's name."""
_NAME = re.compile(f"[A-Za-z0-9_.-]{{1,{MAX_NAME}}}")


class Picture(Protocol):
    """An upright sRGB picture without alpha, the input of a moderator; sizes in pixels."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def resized(self, width: int, height: int) -> Picture:
        """Return the picture stretched to exactly this size (bilinear with antialiasing)."""
        ...

    def rgb(self) -> bytes:
        """Return ``height x width x 3`` bytes, row by row."""
        ...


class Moderator(Protocol):
    """Judges pictures in the image processes.

    It is pickled and sent to each of them, so it must not hold a session or connection before ``prepare``. A moderator
    with ``labels`` scores all of them for every picture and leaves the decision to the thresholds of the source. A
    moderator without labels decides by itself. The stricter of the two decisions counts.
    """

    @property
    def labels(self) -> frozenset[str]:
        """All labels that it scores."""
        ...

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """Labels by the name of their group, such as ``explicit``; a group scores as high as its highest label.

        If the moderator declares ``exclusive`` labels, those of a group that exclude each other are added.
        """
        ...

    def prepare(self) -> None:
        """Load and warm the model; called once in each image process, before ``judge``."""
        ...

    def judge(self, picture: Picture) -> Verdict:
        """Score a picture (0-1 per label); an exception fails the attempt, and the job is retried."""
        ...


class RemoteModerator(Protocol):
    """Queries a moderation service; runs in the host, because image processes have no network.

    It gets the same views as a local moderator, as newly encoded JPEGs, so nothing of the uploaded file but its pixels
    is sent. Its scores apply to the thresholds that name its labels and groups. The stricter decision of the remote and
    the local moderator counts, and a picture that the local one rejects is not sent.
    """

    @property
    def labels(self) -> frozenset[str]:
        """All labels that it scores."""
        ...

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """Labels by the name of their group; a group scores as high as its highest label."""
        ...

    @property
    def timeout_s(self) -> float:
        """Timeout of one call, in seconds."""
        ...

    @property
    def max_calls_per_day(self) -> int | None:
        """Maximum calls per UTC day by all processes together; ``None``: no limit."""
        ...

    async def judge(self, jpeg: bytes) -> Verdict:
        """Score one picture (0-1 per label).

        Raises ``ModeratorUnavailable`` when the service is unavailable, after which the job waits and is retried, and
        ``ModerationFailed`` when it cannot judge this picture. Nothing is published without a verdict.
        """
        ...


@runtime_checkable
class TellsName(Protocol):
    """A moderator that declares its name, which tells it apart from others."""

    @property
    def name(self) -> str:
        """At most 64 letters, digits, dots, hyphens and underscores."""
        ...


def name_of(moderator: object) -> str:
    """Return the name of a moderator, by default that of its class; raises ``ConfigError`` for an unsuitable one."""
    name = moderator.name if isinstance(moderator, TellsName) else type(moderator).__name__
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"a moderator is named {name!r}; use at most {MAX_NAME} letters, digits, dots, hyphens and underscores"
        )
    return name


@runtime_checkable
class TellsInputEdge(Protocol):
    """A moderator that declares the input size of its model, so that pictures are split into fitting parts."""

    @property
    def input_edge(self) -> int:
        """The longer edge of the model's input in pixels; pictures are reduced to twice that before ``judge``."""
        ...


def input_edge(moderator: object) -> int:
    """Return the longer edge of the model's input in pixels, by default 320.

    Raises ``ModerationFailed`` unless it is a positive integer: a picture reduced to nothing would pass.
    """
    edge = moderator.input_edge if isinstance(moderator, TellsInputEdge) else INPUT_EDGE
    if not isinstance(edge, int) or edge < 1:
        raise ModerationFailed(f"the moderator's input_edge is {edge!r}; return a positive integer, such as 320")
    return edge


@runtime_checkable
class TellsExclusive(Protocol):
    """A moderator that declares which labels exclude each other, as those of a softmax do."""

    @property
    def exclusive(self) -> Iterable[frozenset[str]]:
        """Sets of mutually exclusive labels, whose scores sum to at most 1."""
        ...


def exclusive_of(moderator: object) -> tuple[frozenset[str], ...]:
    """Return the sets of labels that exclude each other, by default none."""
    return tuple(moderator.exclusive) if isinstance(moderator, TellsExclusive) else ()


@runtime_checkable
class ReadsFiles(Protocol):
    """A moderator that declares its files; in an image process it can open only those and its modules."""

    @property
    def reads(self) -> Iterable[str | Path]:
        """Files, and folders with all their contents, such as the model's; devices are also writable."""
        ...


def reads_of(moderator: Moderator | None) -> tuple[Path, ...]:
    """Return the files that a moderator declares, and the location of its own module."""
    if moderator is None:
        return ()
    top = sys.modules.get(type(moderator).__module__.partition(".")[0])
    # An editable installation may keep it outside Python's path.
    module = [*getattr(top, "__path__", ())] or [file for file in (getattr(top, "__file__", None),) if file]
    declared = moderator.reads if isinstance(moderator, ReadsFiles) else ()
    return tuple(Path(path).absolute() for path in (*declared, *module))
