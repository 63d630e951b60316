"""Language files of Tesseract that tests need."""

from __future__ import annotations

import pytest

from mediagate.images.operations.ocr.languages import of_tesseract, package_of


def need_language(code: str) -> None:
    """Skip the test where the file of a language is not installed."""
    if code not in of_tesseract():
        pytest.skip(f"no language file of Tesseract: install Debian's package {package_of(code)}")
