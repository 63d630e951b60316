"""Execution providers: the hardware on which onnxruntime runs a model, and the packages that bring them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

CPU = ("CPUExecutionProvider",)
PACKAGES: Mapping[str, str] = {
    "CUDAExecutionProvider": "onnxruntime-gpu",
    "MIGraphXExecutionProvider": "onnxruntime-migraphx",
    "OpenVINOExecutionProvider": "onnxruntime-openvino",
    "TensorrtExecutionProvider": "onnxruntime-gpu",
}
"""The package of some providers. Each of these contains all of onnxruntime, so only one can be installed."""
NVIDIA = frozenset({"CUDAExecutionProvider", "TensorrtExecutionProvider"})


def missing(wanted: Sequence[str], available: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each wanted provider that this onnxruntime does not have."""
    for name in wanted:
        if name not in available:
            package = PACKAGES.get(name)
            yield (
                f"providers: this onnxruntime has no {name!r}, only {', '.join(available)}; "
                + (f"install {package} instead of onnxruntime" if package else "install a build with it")
                + ", or leave it out"
            )


def devices(providers: Sequence[str]) -> tuple[Path, ...]:
    """Return the devices and system files that the providers open, as far as they exist."""
    if NVIDIA.isdisjoint(providers):
        return ()
    return (*sorted(Path("/dev").glob("nvidia*")), *filter(Path.exists, (Path("/proc/driver/nvidia"),)))
