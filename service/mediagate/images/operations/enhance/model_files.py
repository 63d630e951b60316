"""The models that mediagate brings: files beside this module, with their licences."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).with_name("models")
PEOPLE = FOLDER / "selfie_segmentation.tflite"
"""MediaPipe's selfie segmentation (Apache-2.0), from the npm package ``@mediapipe/selfie_segmentation``."""
PHOTOS_TWICE = FOLDER / "waifu2x_upconv7_photo.onnx"
"""waifu2x's network for photos (MIT), converted by ``convert_waifu2x.py`` in the repository."""
