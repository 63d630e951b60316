"""Moderation with NudeNet's detector of body parts.

The model file ``320n.onnx`` is part of the package ``nudenet`` (https://github.com/notAI-tech/NudeNet, 3.4.2). Its
licence files and the metadata of the model state **AGPL-3.0**, whatever the package index shows: read the licence
before you offer a service with it. The package itself, which needs OpenCV, is never imported.

``pip install "mediagate[nudenet]"`` installs the package with its dependencies, among them OpenCV (60 MB to download,
150 MB on disk); ``pip install "mediagate[onnx]"`` and ``pip install --no-deps nudenet`` avoid OpenCV.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from mediagate import MediaGate, plugin
from mediagate.errors import ConfigError
from mediagate_plugins.onnx_moderation import onnx_moderation

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
) -> None:
    """Let NudeNet judge every image: ``onnx_moderation`` with its model, whose file names its 18 labels.

    ``model`` is the file of another NudeNet detector, such as ``640m.onnx``. Pictures are fitted into the upper left
    corner on black, as in NudeNet 3.4.2. Unlike there, they are reduced with antialiasing, so scores differ from
    NudeNet's own.
    """
    gate.register(
        onnx_moderation,
        model=model if model is not None else model_file(),
        name="nudenet",
        groups=groups,
        fit="corner",
        pad=0,
        threads=threads,
    )


def model_file() -> Path:
    """Return the path of the installed package's model; raises ``ConfigError`` when it is not installed."""
    with suppress(PackageNotFoundError):
        file = Path(str(distribution("nudenet").locate_file("nudenet/320n.onnx")))
        if file.is_file():
            return file
    raise ConfigError(
        'nudenet: the model file is not installed; pip install "mediagate[nudenet]", or give the path of one as model='
    )
