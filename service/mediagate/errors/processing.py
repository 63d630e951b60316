"""Errors of one image, which end its own job only."""

from __future__ import annotations

from typing import ClassVar

from mediagate.errors.base import MediagateError


class ProcessingError(MediagateError):
    """One image could not be processed; its job alone ends, or is tried again when ``retryable``."""

    code = "processing_failed"
    retryable = True
    told: ClassVar[str | None] = "the picture could not be processed"


class ImageCrashed(ProcessingError):
    """The image process died while it worked on this image."""

    code = "image_crashed"
    told = "the picture brought its process to an end"


class ImageTimeout(ProcessingError):
    """The image took longer than its wall-clock limit."""

    code = "image_timeout"
    told = None


class ModerationFailed(ProcessingError):
    """The moderator raised instead of judging; nothing is published without a verdict."""

    code = "moderation_failed"
    told = "the picture could not be judged"


class ProcessingRefused(ProcessingError):
    """Raised by a ``pre_process``, ``pre_verdict`` or ``pre_store`` hook to reject the image."""

    code = "processing_refused"
    retryable = False
    told = None


class StagedFileLost(ProcessingError):
    """The quarantined file is gone, so there is nothing to process."""

    code = "staged_file_lost"
    retryable = False
    told = None
