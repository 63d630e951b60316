"""Errors of one image, which end its own job only."""

from __future__ import annotations

from typing import ClassVar

from mediagate.errors.base import MediagateError


class ProcessingError(MediagateError):
    """One image could not be processed; only its job fails, or is retried if ``retryable``."""

    code = "processing_failed"
    retryable = True
    told: ClassVar[str | None] = "the picture could not be processed"


class ImageCrashed(ProcessingError):
    """The image process died while it worked on this image."""

    code = "image_crashed"
    told = "the picture crashed the image process"


class ImageTimeout(ProcessingError):
    """The image exceeded its wall-clock limit."""

    code = "image_timeout"
    told = None


class ModerationFailed(ProcessingError):
    """The moderator raised instead of returning a verdict; nothing is published without one."""

    code = "moderation_failed"
    told = "the picture could not be moderated"


class ProcessingRefused(ProcessingError):
    """Raised by a ``pre_process``, ``pre_verdict`` or ``pre_store`` hook to reject the image."""

    code = "processing_refused"
    retryable = False
    told = None


class StagedFileLost(ProcessingError):
    """The quarantined file is missing."""

    code = "staged_file_lost"
    retryable = False
    told = None


class PublishedFileLost(ProcessingError):
    """A published file that is to be judged again is missing."""

    code = "published_file_lost"
    retryable = False
    told = None
