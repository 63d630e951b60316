"""Moderation with NudeNet's detector of body parts.

The model file ``320n.onnx`` is part of the package ``nudenet`` (https://github.com/notAI-tech/NudeNet, 3.4.2). Its
licence files and the metadata of the model state **AGPL-3.0**, whatever the package index shows: read the licence
before you offer a service with it. The package itself, which needs OpenCV, is never imported.

``pip install "mediagate[nudenet]"`` installs the package with its dependencies, among them OpenCV (60 MB to download,
150 MB on disk); ``pip install "mediagate[onnx]"`` and ``pip install --no-deps nudenet`` avoid OpenCV.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mediagate import MediaGate, plugin
from mediagate.errors import ConfigError
from mediagate_plugins.onnx_moderation import onnx_moderation
from mediagate_plugins.onnx_moderation.packages import file_of
from mediagate_plugins.onnx_moderation.providers import CPU

PACKAGE, FILE = "nudenet", "320n.onnx"
SHA256 = "c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f"
"""Of the file in the wheel of ``nudenet`` 3.4.2."""
GROUPS: Mapping[str, frozenset[str]] = {
    "explicit": frozenset(
        {
            "ANUS_EXPOSED",
            "BUTTOCKS_EXPOSED",
            "FEMALE_BREAST_EXPOSED",
            "FEMALE_GENITALIA_EXPOSED",
            "MALE_GENITALIA_EXPOSED",
        }
    ),
    "suggestive": frozenset(
        {
            "ANUS_COVERED",
            "BUTTOCKS_COVERED",
            "FEMALE_BREAST_COVERED",
            "FEMALE_GENITALIA_COVERED",
            "MALE_BREAST_EXPOSED",
        }
    ),
}
"""``explicit`` is nudity; ``suggestive`` is the same parts covered (ordinary clothing included, so use it with a high
threshold) and a man's bare chest. Faces, feet, armpits and bellies are in neither group and can be named one by one."""


@plugin("nudenet", provides=("MODERATOR",))
async def nudenet(
    gate: MediaGate,
    *,
    model: str | Path | None = None,
    groups: Mapping[str, Collection[str]] = GROUPS,
    threads: int = 1,
    providers: Sequence[str] = CPU,
    reads: Sequence[str | Path] = (),
) -> None:
    """Let NudeNet judge every image: ``onnx_moderation`` with its model, whose file names its 18 labels.

    ``model`` is the file of another NudeNet detector, such as ``640m.onnx``; the package's own file is checked by its
    SHA-256. Pictures are fitted into the upper left corner on black, as in NudeNet 3.4.2. Unlike there, they are
    reduced with antialiasing, so scores differ from NudeNet's own.
    """
    gate.register(
        onnx_moderation,
        model=model if model is not None else model_file(),
        name="nudenet",
        sha256=SHA256 if model is None else None,
        groups=groups,
        fit="corner",
        pad=0,
        threads=threads,
        providers=providers,
        reads=reads,
    )


def model_file() -> Path:
    """Return the path of the installed package's model; raises ``ConfigError`` when it is not installed."""
    if (path := file_of(PACKAGE, FILE)) is None:
        raise ConfigError(
            'nudenet: the model file is not installed; pip install "mediagate[nudenet]", or give the path of one as '
            "model="
        )
    return path
