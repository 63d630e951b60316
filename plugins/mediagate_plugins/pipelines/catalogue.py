"""What can be asked of a gate, for ``GET /pipelines/operations``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from mediagate.operations import MOST_INPUTS, MOST_OUTPUTS, MOST_STEPS
from mediagate_plugins.pipelines.rules import Rules


def catalogue(rules: Rules, *, ad_hoc: bool, timeout_s: float, credits: Mapping[str, int]) -> dict[str, Any]:
    """Return the operations with their schemas and costs, the presets, and the limits.

    ``ad_hoc`` says whether the caller may send steps of its own; ``credits`` are prices of operations.
    """
    source = rules.source
    return {
        "operations": [_described(operation, credits) for operation in rules.operations.describe()],
        "presets": [
            {"name": name, "version": preset.version, "params": preset.schema} for name, preset in rules.presets.items()
        ],
        "adHoc": ad_hoc,
        "sourceType": rules.source_type,
        "limits": {
            "steps": MOST_STEPS,
            "outputs": MOST_OUTPUTS,
            "files": MOST_INPUTS,
            "bytesPerFile": source.max_bytes,
            "pixels": source.max_pixels,
            "animationPixels": source.max_animation_pixels,
            "pages": source.max_pages,
            "secondsPerFile": timeout_s,
            "jobsPerBatch": rules.batch_jobs,
            "filesPerBatch": rules.batch_limits.files,
            "bytesPerBatch": rules.batch_max_bytes,
            "ttlHours": rules.max_ttl / timedelta(hours=1),
        },
        "formats": list(source.formats),
    }


def _described(operation: dict[str, Any], credits: Mapping[str, int]) -> dict[str, Any]:
    """Return an operation in the words of HTTP; without a cost per megapixel if that depends on its parameters."""
    cost = operation.pop("cost")
    named = None if cost is None else {"cpuMs": cost["cpu_ms"], "bytes": cost["bytes"]}
    return {**operation, "costPerMegapixel": named, "credits": credits.get(operation["op"], 0)}
