"""Errors of the pictures that are sent."""

from __future__ import annotations

from mediagate.errors.requests import RequestError


class UndecodableImage(RequestError):
    """The file has the signature of an accepted format but cannot be decoded."""

    code = "image_undecodable"
    status = 422


class ImageTooLarge(RequestError):
    """The image has more pixels or frames, or needs more memory, than its source allows."""

    code = "image_too_large"
    status = 422


class AnimationRefused(RequestError):
    """The image is animated, but its source accepts still images only."""

    code = "animation_refused"
    status = 422


class PasswordRequired(RequestError):
    """The document is encrypted, and there is no password or a wrong one."""

    code = "password_required"
    status = 422


class InvalidCrop(RequestError):
    """``crop`` is not a box within the picture."""

    code = "invalid_crop"
    status = 422
