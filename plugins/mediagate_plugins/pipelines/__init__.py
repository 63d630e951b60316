"""Pipelines over HTTP: ordered operations on pictures, as presets of the operator or as steps of a caller.

Some operations need an extra: ``pip install "mediagate[pipelines]"`` NumPy, ``"mediagate[enhance]"`` OpenCV.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import get_args

from mediagate import AUTHORIZE, MOST_JOBS, OPERATIONS, MediaGate, plugin
from mediagate.errors import ConfigError, PluginError
from mediagate.operations import Operations, standard
from mediagate_plugins.pipelines.acceptance import accept_translated
from mediagate_plugins.pipelines.batch_route import BatchRoute, accept_translated_batch
from mediagate_plugins.pipelines.doctor import describe
from mediagate_plugins.pipelines.parameters import Int, Number, OneOf, Secret, Text
from mediagate_plugins.pipelines.preset import Preset, check_presets
from mediagate_plugins.pipelines.routes import PipelineRoutes
from mediagate_plugins.pipelines.rules import PIPELINES, AdHoc, Rules
from mediagate_plugins.pipelines.translation import Translation

__all__ = [
    "PIPELINES",
    "Int",
    "Number",
    "OneOf",
    "Preset",
    "Rules",
    "Secret",
    "Text",
    "Translation",
    "accept_translated",
    "accept_translated_batch",
    "pipelines",
]


@plugin("pipelines", provides=("OPERATIONS",))
async def pipelines(
    gate: MediaGate,
    *,
    presets: Mapping[str, Preset] | None = None,
    ad_hoc: AdHoc = "none",
    source: str | None = None,
    operations: Operations | None = None,
    batch_jobs: int = 100,
    batch_max_bytes: int = 500_000_000,
) -> None:
    """Serve ``POST /pipelines`` and ``POST /batches``: ``presets``, and with ``ad_hoc`` rights steps of the callers.

    ``ad_hoc="admin"`` and ``"all"`` need access control. ``"local"`` is for a demo: it takes steps of callers on the
    same machine, also unauthenticated ones, and makes the gate refuse foreign host names on loopback addresses. The
    limits and the moderation are those of the source type ``source``, by default the only private one with a ``ttl``;
    the outputs are kept for that time, or for a shorter one if a request asks for it. ``operations`` replaces those
    that mediagate brings; a plugin that is registered later can add to ``gate[OPERATIONS]``. ``batch_jobs`` is the
    limit of the jobs of one batch, up to 1,000, and ``batch_max_bytes`` that of the inputs of all of them. Raises
    ``ConfigError``, also for presets that are invalid.
    """
    chosen = _source_of(gate, source)
    if ad_hoc not in get_args(AdHoc):
        raise ConfigError(f'pipelines: ad_hoc is {ad_hoc!r}; use "none", "admin", "all" or "local"')
    if not 1 <= batch_jobs <= MOST_JOBS or batch_max_bytes < 1:
        raise ConfigError(f"pipelines: batch_jobs is from 1 to {MOST_JOBS:,}, and batch_max_bytes above 0")
    if ad_hoc == "local":
        gate.guard_hosts()
    known = standard() if operations is None else operations
    rules = Rules(
        known,
        dict(presets or {}),
        chosen,
        gate.sources[chosen],
        ad_hoc,
        strict=gate.settings.strict,
        batch_jobs=batch_jobs,
        batch_max_bytes=batch_max_bytes,
    )
    gate.decorate(OPERATIONS, known)
    gate.decorate(PIPELINES, rules)
    routes = PipelineRoutes(gate, rules)
    gate.add_route("/pipelines", routes.create, methods=["POST"])
    gate.add_route("/batches", BatchRoute(gate, rules).create, methods=["POST"])
    gate.add_route("/pipelines/operations", routes.operations, methods=["GET"])

    async def ready(gate: MediaGate) -> None:
        # Later than the boot of this plugin: others may add operations and access control.
        check_presets(rules.presets, known)
        if ad_hoc in ("admin", "all") and not _has_access_control(gate):
            raise ConfigError(
                f"pipelines: ad_hoc={ad_hoc!r} needs access control, so that it is known who sends steps; add "
                'MediaGate(authorize=…) or the plugin api_keys, or use ad_hoc="none"'
            )

    gate.add_hook("on_ready", ready)
    gate.add_check("operations", partial(describe, known))


def _source_of(gate: MediaGate, wanted: str | None) -> str:
    """Return the source type of pipelines; raises ``ConfigError``."""
    fitting = [name for name, source in gate.sources.items() if source.visibility == "private" and source.ttl]
    if wanted is None and len(fitting) == 1:
        return fitting[0]
    if wanted in fitting:
        return wanted
    if wanted is None and fitting:
        raise ConfigError(f"pipelines: name the source whose limits apply, source=…, one of: {', '.join(fitting)}")
    said = "there is no source" if wanted is None else f"{wanted!r} is not a source"
    raise ConfigError(
        f"pipelines: {said} whose files are private and have an end; add one, such as "
        'sources={"work": Source(visibility="private", ttl=timedelta(hours=24)), …}'
    )


def _has_access_control(gate: MediaGate) -> bool:
    try:
        return gate[AUTHORIZE] is not None
    except PluginError:
        return False
