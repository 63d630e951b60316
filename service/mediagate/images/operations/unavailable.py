"""Operations that callers of such services know, and that mediagate does not have."""

from __future__ import annotations

from collections.abc import Mapping

_OWN = "; add an operation of your own with a model that you may use"

UNAVAILABLE: Mapping[str, str] = {
    "restore_faces": f"models that restore faces may not be used commercially, or need PyTorch and a download{_OWN}",
    "colourise": f"there is no model for this under a permissive licence that works offline{_OWN}",
    "neural_low_light": f"the models for this may not be used commercially; use low_light{_OWN}",
}
"""Why, by the name of the operation. An operation of a plugin may have one of these names."""
