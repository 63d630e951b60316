"""Pipelines over HTTP: ordered operations on pictures, as presets of the operator or as steps of a caller.

``pip install "mediagate[pipelines]"`` for the operations that need NumPy; the others need nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mediagate import AUTHORIZE, OPERATIONS, MediaGate, plugin
from mediagate.errors import ConfigError, PluginError
from mediagate.operations import Operations, standard
from mediagate_plugins.pipelines.doctor import describe
from mediagate_plugins.pipelines.parameters import Int, Number, OneOf, Text
from mediagate_plugins.pipelines.preset import Preset, check_presets
from mediagate_plugins.pipelines.routes import PipelineRoutes
from mediagate_plugins.pipelines.rules import PIPELINES, AdHoc, Rules

__all__ = ["PIPELINES", "Int", "Number", "OneOf", "Preset", "Rules", "Text", "pipelines"]


@plugin("pipelines", provides=("OPERATIONS",))
async def pipelines(
    gate: MediaGate,
    *,
    presets: Mapping[str, Preset] | None = None,
    ad_hoc: AdHoc = "none",
    source: str | None = None,
    operations: Operations | None = None,
) -> None:
    """Serve ``POST /pipelines``, which runs ``presets``, and for callers with ``ad_hoc`` rights steps of their own.

    ``ad_hoc`` other than ``none`` needs access control. The limits and the moderation are those of the source type
    ``source``, by default the only private one with a ``ttl``; the outputs are kept for that time, or for a shorter one
    if a request asks for it. ``operations`` replaces those that mediagate brings; a plugin that is registered later can
    add to ``gate[OPERATIONS]``. Raises ``ConfigError``, also for presets that are invalid.
    """
    chosen = _source_of(gate, source)
    if ad_hoc not in ("none", "admin", "all"):
        raise ConfigError(f'pipelines: ad_hoc is {ad_hoc!r}; use "none", "admin" or "all"')
    known = standard() if operations is None else operations
    rules = Rules(known, dict(presets or {}), chosen, gate.sources[chosen], ad_hoc, strict=gate.settings.strict)
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
