"""Pipelines over HTTP: ordered operations on pictures, as presets of the operator or as steps of a caller.

``pip install "mediagate[pipelines]"`` for the operations that need NumPy; the others need nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from mediagate import AUTHORIZE, OPERATIONS, MediaGate, plugin
from mediagate.errors import ConfigError, PluginError
from mediagate.operations import Operations, standard
from mediagate_plugins.pipelines.parameters import Int, Number, OneOf, Text
from mediagate_plugins.pipelines.preset import Preset, check_presets
from mediagate_plugins.pipelines.routes import PipelineRoutes
from mediagate_plugins.pipelines.rules import PIPELINES, AdHoc, Rules

__all__ = ["PIPELINES", "Int", "Number", "OneOf", "Preset", "Rules", "Text", "pipelines"]

LONGEST_TTL_HOURS = 24 * 365.0


@plugin("pipelines", provides=("OPERATIONS",))
async def pipelines(
    gate: MediaGate,
    *,
    presets: Mapping[str, Preset] | None = None,
    ad_hoc: AdHoc = "none",
    source: str | None = None,
    ttl_hours: float = 24.0,
    max_ttl_hours: float = 168.0,
    operations: Operations | None = None,
) -> None:
    """Serve ``POST /pipelines``, which runs ``presets``, and for callers with ``ad_hoc`` rights steps of their own.

    ``ad_hoc`` other than ``none`` needs access control. The limits and the moderation are those of the source type
    ``source``, by default the only one of the gate. Outputs are kept for ``ttl_hours``, or for as long as a request
    asks for, up to ``max_ttl_hours``. ``operations`` replaces those that mediagate brings; a plugin that is registered
    later can add to ``gate[OPERATIONS]``. Raises ``ConfigError``, also for presets that are invalid.
    """
    chosen = _source_of(gate, source)
    if ad_hoc not in ("none", "admin", "all"):
        raise ConfigError(f'pipelines: ad_hoc is {ad_hoc!r}; use "none", "admin" or "all"')
    if not 0 < ttl_hours <= max_ttl_hours <= LONGEST_TTL_HOURS:
        raise ConfigError(
            f"pipelines: ttl_hours must be above 0 and not above max_ttl_hours, which is at most {LONGEST_TTL_HOURS:g}"
        )
    known = standard() if operations is None else operations
    rules = Rules(
        known,
        dict(presets or {}),
        chosen,
        gate.sources[chosen],
        ad_hoc,
        ttl_hours,
        max_ttl_hours,
        strict=gate.settings.strict,
    )
    gate.decorate(OPERATIONS, known)
    gate.decorate(PIPELINES, rules)
    routes = PipelineRoutes(gate, rules)
    gate.add_route("/pipelines", routes.create, methods=["POST"])
    gate.add_route("/pipelines/operations", routes.operations, methods=["GET"])

    async def ready(gate: MediaGate) -> None:
        # Later than the boot of this plugin: others may add operations and access control.
        check_presets(rules.presets, known)
        if ad_hoc != "none" and not _has_access_control(gate):
            raise ConfigError(
                f"pipelines: ad_hoc={ad_hoc!r} needs access control, so that it is known who sends steps; add "
                'MediaGate(authorize=…) or the plugin api_keys, or use ad_hoc="none"'
            )

    gate.add_hook("on_ready", ready)


def _source_of(gate: MediaGate, source: str | None) -> str:
    if source is None and len(gate.sources) == 1:
        return next(iter(gate.sources))
    if source not in gate.sources:
        said = "name the source" if source is None else f"there is no source {source!r}; name the one"
        raise ConfigError(
            f"pipelines: {said} whose limits and moderation apply, source=…, one of: {', '.join(gate.sources)}"
        )
    return source


def _has_access_control(gate: MediaGate) -> bool:
    try:
        return gate[AUTHORIZE] is not None
    except PluginError:
        return False
