"""The model file and a session on it: the only importer of onnxruntime."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mediagate.errors import ConfigError, ModerationFailed
from mediagate_plugins.onnx_moderation.graph import external_files
from mediagate_plugins.onnx_moderation.providers import CPU, missing

# Read on import: without it, onnxruntime creates files and prepares telemetry.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime  # after setting the variable

Tensor = NDArray[Any]


class Argument(Protocol):
    """An input or output as onnxruntime describes it; a dynamic dimension is a name or ``None``."""

    name: str
    shape: list[int | str | None]
    type: str


class Session:
    """A loaded model."""

    def __init__(self, model: bytes, *, threads: int, providers: Sequence[str] = CPU) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads would take the cores from other image processes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        # Errors are raised, so they need not be printed as well.
        options.log_severity_level = 4
        # Without fallback: onnxruntime would go on with the CPU, and only print that.
        self._session = onnxruntime.InferenceSession(model, options, providers=[*providers], enable_fallback=0)
        if idle := [name for name in providers if name not in self._session.get_providers()]:
            raise RuntimeError(
                f"{', '.join(idle)} did not start; see onnxruntime's requirements of drivers and libraries"
            )

    @property
    def inputs(self) -> list[Argument]:
        return cast(list[Argument], self._session.get_inputs())

    @property
    def outputs(self) -> list[Argument]:
        return cast(list[Argument], self._session.get_outputs())

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata that the exporter stored with the graph."""
        return cast(dict[str, str], self._session.get_modelmeta().custom_metadata_map)

    def run(self, name: str, tensor: Tensor, output: str) -> Tensor:
        """Return one output for one input."""
        return np.asarray(self._session.run([output], {name: tensor})[0])


def read_model(path: Path) -> tuple[bytes, str]:
    """Return a model file and its SHA-256 (hex); raises ``ConfigError`` when it cannot be read."""
    try:
        model = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"onnx_moderation.model: cannot read {path}: {exc.strerror}") from None
    return model, hashlib.sha256(model).hexdigest()


def open_checked(path: Path, model: bytes, *, threads: int) -> Session:
    """Load a model for the first time; raises ``ConfigError`` for a file that is not ONNX or is incomplete."""
    try:
        files = external_files(model)
    except ValueError as exc:
        raise ConfigError(f"onnx_moderation.model: {path} is not an ONNX file: {exc}") from None
    if files:
        raise ConfigError(
            f"onnx_moderation.model: the weights of {path} are in {', '.join(sorted(files))}; "
            "save it as one file: onnx.save(onnx.load(old), new), or torch.onnx.export(…, external_data=False)"
        )
    try:
        return Session(model, threads=threads)
    except Exception as exc:  # onnxruntime's errors share no other base
        raise ConfigError(f"onnx_moderation.model: onnxruntime cannot load {path}: {exc}") from None


def missing_providers(providers: Sequence[str]) -> list[str]:
    """Return a sentence for each provider that the installed onnxruntime does not have."""
    return list(missing(providers, onnxruntime.get_available_providers()))


def open_again(path: Path, sha256: str, *, threads: int, providers: Sequence[str]) -> Session:
    """Load a model that was checked before, on the hardware of its providers.

    Raises ``ModerationFailed`` when its file has changed, or a provider does not start.
    """
    try:
        model, found = read_model(path)
    except ConfigError as exc:
        raise ModerationFailed(f"{exc.detail}; restore the file, or restart the gate") from None
    if found != sha256:
        raise ModerationFailed(f"{path} has changed since the gate started; restart the gate to use the new model")
    try:
        return Session(model, threads=threads, providers=providers)
    except Exception as exc:  # onnxruntime's errors share no other base
        raise ModerationFailed(f"onnxruntime cannot run {path} on {', '.join(providers)}: {exc}") from None
