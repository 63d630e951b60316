"""Tests of pictures, with the libraries of the extra ``fast`` and without them."""

from __future__ import annotations

import pytest

from mediagate.images.pixels import igzip, lanczos


@pytest.fixture(params=["SIMD", "Pillow"])
def each_resizer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resize and compress with the libraries of the extra ``fast``, and as an installation without them does."""
    if request.param == "Pillow":
        monkeypatch.setattr(lanczos, "simd", None)
        monkeypatch.setattr(igzip, "isal", None)
    elif lanczos.simd is None:
        pytest.skip('no cykooz-resizer: pip install "mediagate[fast]" (it has no wheel for Linux on ARM)')
    for trial in (lanczos.usable, igzip.usable):
        trial.cache_clear()
        request.addfinalizer(trial.cache_clear)
