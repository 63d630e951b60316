"""From the JSON of ``POST /pipelines`` to a checked request, or to all of its faults at once."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mediagate.errors import Forbidden, InvalidPipeline
from mediagate.operations import Item, Recipe, did_you_mean, item, parse
from mediagate_plugins.pipelines.preset import PARAMS, Preset
from mediagate_plugins.pipelines.rules import MOST_FILES, Rules

FIELDS = ("steps", "preset", "params", "retention", "clientReferenceId", "callbackUrl", "mediaId", "uploadIds")
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class PipelineRequest:
    """A checked request."""

    recipe: Recipe
    preset: str | None = None
    """The name that the request gave; with steps of its own it need not be that of a preset."""
    version: str | None = None
    """The version of the preset whose steps these are."""
    params: Mapping[str, Any] = field(default_factory=dict)
    ttl_hours: float = 24.0
    clamped: bool = False
    """Whether a longer retention was asked for."""
    client_reference_id: str | None = None
    callback_url: str | None = None
    media_id: str | None = None
    upload_ids: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """Unknown fields."""


def read_request(body: object, rules: Rules, *, ad_hoc: bool, inputs: Collection[str] = ()) -> PipelineRequest:
    """Return the request in a JSON value; ``inputs`` are the names of further pictures that came with it.

    ``ad_hoc`` says whether its caller may send steps of its own. Raises ``InvalidPipeline`` with every fault, and
    ``Forbidden`` for steps that the caller may not send.
    """
    if not isinstance(body, dict):
        raise InvalidPipeline([item((), "wrong_type", 'not an object; write {"preset": …} or {"steps": […]}', body)])
    return _Reading(rules, body, ad_hoc, inputs).result()


class _Reading:
    """Reads the fields of one request and collects faults."""

    def __init__(self, rules: Rules, body: dict[str, Any], ad_hoc: bool, inputs: Collection[str]) -> None:
        self._rules = rules
        # A field that is null is a field that is missing.
        self._body = {name: value for name, value in body.items() if value is not None}
        self._ad_hoc = ad_hoc
        self._inputs = inputs
        self._faults: list[Item] = []

    def result(self) -> PipelineRequest:
        ignored = tuple(self._unknown())
        name, params = self._name(), self._params()
        recipe, version = self._recipe(name, params)
        ttl_hours, clamped = self._retention()
        reference, callback = self._text("clientReferenceId"), self._text("callbackUrl")
        media_id, upload_ids = self._text("mediaId"), tuple(self._upload_ids())
        if media_id is not None and upload_ids:
            self._faults.append(item(("uploadIds",), "invalid_value", "send mediaId or uploadIds, not both"))
        if self._faults or recipe is None:
            raise InvalidPipeline(self._faults)
        return PipelineRequest(
            recipe, name, version, params, ttl_hours, clamped, reference, callback, media_id, upload_ids, ignored
        )

    def _recipe(self, name: str | None, params: Mapping[str, Any]) -> tuple[Recipe | None, str | None]:
        """Return the steps of the request or of its preset, and the version of the preset if they are the same."""
        preset = self._rules.presets.get(name) if name is not None else None
        if "steps" not in self._body:
            return self._of_preset(name, preset, params)
        if not self._ad_hoc and preset is None:
            raise self._forbidden()
        before = len(self._faults)
        steps = self._parsed()
        if preset is None:
            if params:
                self._faults.append(item(PARAMS, "unknown_field", "params are those of a preset; write them as steps"))
            return steps, None
        same = steps is not None and steps == self._steps_of(preset, params)
        if same and preset is not None:
            return steps, preset.version
        if not self._ad_hoc:
            del self._faults[before:]
            raise self._forbidden()
        if not preset.ad_hoc:
            self._faults.append(
                item(("steps",), "preset_changed", f"these are not the steps of the preset {name!r}; leave them out")
            )
        return steps, None

    def _of_preset(
        self, name: str | None, preset: Preset | None, params: Mapping[str, Any]
    ) -> tuple[Recipe | None, str | None]:
        if name is None:
            if "preset" not in self._body:
                self._faults.append(item(("steps",), "missing", "send the name of a preset, or steps"))
            return None, None
        if preset is None:
            hint = did_you_mean(name, self._rules.presets)
            self._faults.append(item(("preset",), "unknown_preset", f"there is no preset {name!r}{hint}", name))
            return None, None
        try:
            return preset.recipe(params, self._rules.operations), preset.version
        except InvalidPipeline as exc:
            self._faults += map(dict, exc.errors)
            return None, None

    def _parsed(self) -> Recipe | None:
        try:
            return parse(self._body["steps"], self._rules.operations, inputs=self._inputs)
        except InvalidPipeline as exc:
            self._faults += map(dict, exc.errors)
            return None

    def _steps_of(self, preset: Preset, params: Mapping[str, Any]) -> Recipe | None:
        try:
            return preset.recipe(params, self._rules.operations)
        except InvalidPipeline:
            return None

    def _forbidden(self) -> Forbidden:
        presets = ", ".join(self._rules.presets) or "none"
        return Forbidden(f"steps of your own are not allowed here; send the name of a preset instead: {presets}")

    def _name(self) -> str | None:
        name = self._text("preset")
        if name is not None and len(name) > LONGEST_NAME:
            self._faults.append(item(("preset",), "too_long", f"at most {LONGEST_NAME} characters", name))
            return None
        return name

    def _params(self) -> dict[str, Any]:
        params = self._body.get("params", {})
        if isinstance(params, dict):
            return params
        self._faults.append(item(PARAMS, "wrong_type", "not an object", params))
        return {}

    def _retention(self) -> tuple[float, bool]:
        rules, retention = self._rules, self._body.get("retention", {})
        if not isinstance(retention, dict):
            self._faults.append(item(("retention",), "wrong_type", 'not an object; write {"ttlHours": 24}', retention))
            return rules.ttl_hours, False
        for name in retention:
            if name != "ttlHours":
                hint = did_you_mean(name, ["ttlHours"])
                self._faults.append(item(("retention", name), "unknown_field", f"unknown field {name[:100]!r}{hint}"))
        hours, place = retention.get("ttlHours"), ("retention", "ttlHours")
        if hours is None:
            return rules.ttl_hours, False
        if isinstance(hours, bool) or not isinstance(hours, int | float) or math.isnan(hours):
            self._faults.append(item(place, "wrong_type", "not a number of hours", hours))
        elif hours <= 0:
            self._faults.append(item(place, "out_of_range", "more than 0", hours))
        else:
            return min(float(hours) if hours < 1e6 else 1e6, rules.max_ttl_hours), hours > rules.max_ttl_hours
        return rules.ttl_hours, False

    def _upload_ids(self) -> Iterator[str]:
        ids = self._body.get("uploadIds", [])
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            self._faults.append(item(("uploadIds",), "wrong_type", "not a list of texts", ids))
        elif len(ids) > MOST_FILES:
            self._faults.append(item(("uploadIds",), "too_long", f"at most {MOST_FILES}"))
        elif len(set(ids)) < len(ids):
            self._faults.append(item(("uploadIds",), "invalid_value", "each upload once"))
        else:
            yield from ids

    def _text(self, name: str) -> str | None:
        """Return an optional text; an empty one counts as missing."""
        text = self._body.get(name)
        if text is None or text == "":
            return None
        if isinstance(text, str) and not any("\ud800" <= character <= "\udfff" for character in text):
            return text
        self._faults.append(item((name,), "wrong_type", "not a text", text))
        return None

    def _unknown(self) -> Iterator[str]:
        """Yield unknown fields; one that resembles a known one is a fault, since its caller counts on it."""
        for name in self._body:
            if name in FIELDS:
                continue
            hint = did_you_mean(name, [known for known in FIELDS if known not in self._body])
            if hint or self._rules.strict:
                self._faults.append(item((name,), "unknown_field", f"unknown field {name[:100]!r}{hint}"))
            else:
                yield name[:100].encode(errors="replace").decode()
