"""The moderator: inspects a model in the host process, and judges with it in the image processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediagate import Picture, Verdict
from mediagate.errors import ConfigError
from mediagate_plugins.onnx_moderation.inspection import inspect
from mediagate_plugins.onnx_moderation.labels import check_groups
from mediagate_plugins.onnx_moderation.options import Options
from mediagate_plugins.onnx_moderation.pixels import fitted, tensor, trial_pixels
from mediagate_plugins.onnx_moderation.providers import devices
from mediagate_plugins.onnx_moderation.scores import scores_of
from mediagate_plugins.onnx_moderation.session import (
    Session,
    missing_providers,
    open_again,
    open_checked,
    read_model,
)


class OnnxModerator:
    """Scores pictures with an ONNX model.

    The constructor loads and tests the model, which blocks, and stores only the findings, so that the object can be
    pickled. Raises ``ConfigError`` for a model that cannot moderate images, or options that do not fit it.
    """

    def __init__(self, options: Options) -> None:
        self.name = options.name
        self.path = options.model.absolute()
        self.reads = (self.path, *devices(options.providers), *options.reads)
        self.threads = options.threads
        self.providers = options.providers
        if lacking := missing_providers(options.providers):
            raise ConfigError([f"onnx_moderation.{sentence}" for sentence in lacking])
        model, self.sha256 = read_model(self.path)
        if options.sha256 not in (None, self.sha256):
            raise ConfigError(
                f"onnx_moderation.sha256: {self.path} has the SHA-256 {self.sha256}, not the expected "
                f"{options.sha256}; install the expected file again, or check the new one and change sha256"
            )
        session = open_checked(self.path, model, threads=options.threads)
        self.input, self.output = inspect(session, model, options)
        check_groups(options.groups, self.output.labels)
        self.labels = frozenset(self.output.labels)
        self.groups: Mapping[str, frozenset[str]] = dict(options.groups)
        self._session: Session | None = None

    @property
    def input_edge(self) -> int:
        """The longer edge of the model's input in pixels, with the margins that are cut off."""
        return max(self.input.uncropped)

    @property
    def exclusive(self) -> tuple[frozenset[str], ...]:
        """All labels, if they exclude each other."""
        return (self.labels,) if self.output.exclusive else ()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}

    def prepare(self) -> None:
        """Load the model and run it once; raises ``ModerationFailed`` when its file has changed."""
        self._loaded()

    def judge(self, picture: Picture) -> Verdict:
        """Return the score of every label, leaving the decision to the source's thresholds.

        Raises ``ModerationFailed`` when the model outputs anything but probabilities.
        """
        return Verdict(
            scores=self._scores(self._loaded(), fitted(picture, self.input)),
            model=self.path.name,
            model_hash=self.sha256,
        )

    def _loaded(self) -> Session:
        if self._session is None:
            session = open_again(self.path, self.sha256, threads=self.threads, providers=self.providers)
            self._scores(session, trial_pixels(self.input))
            self._session = session
        return self._session

    def _scores(self, session: Session, pixels: NDArray[np.uint8]) -> Mapping[str, float]:
        raw = session.run(self.input.name, tensor(pixels, self.input), self.output.name)
        return scores_of(raw, self.output)
