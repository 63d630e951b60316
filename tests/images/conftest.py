"""Tests of pictures, with the resizer of the extra ``fast`` and without it."""

from __future__ import annotations

import pytest

from mediagate.images.pixels import lanczos


@pytest.fixture(params=["SIMD", "Pillow"])
def each_resizer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resize with ``cykooz-resizer``, and as an installation without it does."""
    if request.param == "Pillow":
        monkeypatch.setattr(lanczos, "simd", None)
    elif lanczos.simd is None:
        pytest.skip('no cykooz-resizer: pip install "mediagate[fast]" (it has no wheel for Linux on ARM)')
    lanczos.usable.cache_clear()
    request.addfinalizer(lanczos.usable.cache_clear)
