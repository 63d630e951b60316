"""Errors of pictures that their sender can correct."""

from __future__ import annotations

from mediagate.errors.requests import RequestError


class UnsupportedType(RequestError):
    """The bytes are not an image of an accepted format."""

    code = "unsupported_type"
    status = 415


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


class UploadMismatch(RequestError):
    """The file of a direct upload differs from its declared size or type, or changed while it was checked."""

    code = "upload_mismatch"
    status = 422
