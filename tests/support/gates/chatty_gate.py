"""A gate whose moderator writes to standard error, in the image process and without logging."""

from __future__ import annotations

from mediagate import MODERATOR, MediaGate, Source
from tests.support.moderators import Chatty

gate = MediaGate(sources={"avatar": Source(reject={"explicit": 0.9})})
gate.decorate(MODERATOR, Chatty())
