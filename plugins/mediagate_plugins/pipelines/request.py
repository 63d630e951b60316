"""From the JSON of ``POST /pipelines`` to a checked request, or to all of its faults at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeGuard

from mediagate import callback_problem, reference_problem
from mediagate.errors import Forbidden, InvalidPipeline
from mediagate.operations import MOST_INPUTS, Item, Operations, Recipe, did_you_mean, item, parse
from mediagate_plugins.pipelines.preset import PARAMS, PICTURE, Preset
from mediagate_plugins.pipelines.rules import Rules

FIELDS = (
    *("steps", "preset", "params", "retention", "clientReferenceId", "callbackUrl"),
    *("mediaId", "uploadIds", "pictures"),
)
TTL = "ttlHours"
HOUR = timedelta(hours=1)
LONGEST_HOURS = 1_000_000
"""No source keeps anything for longer."""
LONGEST_NAME = 64
MOST_FIELDS = 64
"""Fields of one object; suggesting names for very many unknown ones would take minutes."""


@dataclass(frozen=True, slots=True)
class PipelineRequest:
    """A checked request."""

    recipe: Recipe
    preset: str | None = None
    """The name that the request gave; with steps of its own it need not be that of a preset."""
    version: str | None = None
    """The version of the preset whose steps these are."""
    params: Mapping[str, Any] = field(default_factory=dict)
    ttl: timedelta | None = None
    """How long the outputs were asked to be kept; ``None``: as long as the source allows, which is the most."""
    client_reference_id: str | None = None
    callback_url: str | None = None
    media_id: str | None = None
    upload_ids: tuple[str, ...] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)
    """The ids of published media to which steps refer, by the names that they use."""
    ignored: tuple[str, ...] = ()
    """Unknown fields."""

    def referred(self, operations: Operations) -> frozenset[str]:
        """Return the names of the pictures to which steps refer."""
        return _referred(self.recipe, operations)


def read_request(
    body: object, rules: Rules, *, ad_hoc: bool, inputs: Collection[str] = (), shared: bool = False
) -> PipelineRequest:
    """Return the request in a JSON value; ``inputs`` are the names of further pictures that came with it.

    With ``shared``, they are for other requests too, so this one need not use all of them. ``ad_hoc`` says whether its
    caller may send steps of its own. Raises ``InvalidPipeline`` with every fault, and ``Forbidden`` for steps that the
    caller may not send.
    """
    if not isinstance(body, dict):
        raise InvalidPipeline([item((), "wrong_type", 'not an object; write {"preset": …} or {"steps": […]}', body)])
    if len(body) > MOST_FIELDS:
        raise InvalidPipeline([item((), "too_long", f"{len(body)} fields; up to {MOST_FIELDS} are read")])
    return _Reading(rules, body, ad_hoc, inputs, shared=shared).result()


def picture_faults(
    recipe: Recipe, operations: Operations, inputs: Collection[str], *, optional: Collection[str] = ()
) -> Iterator[Item]:
    """Yield the pictures that steps refer to and that are missing, and those not ``optional`` that none refers to."""
    used = _referred(recipe, operations)
    for name in sorted(used - {*inputs}):
        yield item(("preset",), "missing_picture", f"this preset needs a picture in the field {name!r}")
    for name in sorted({*inputs} - used - {*optional}):
        yield item((), "unused_picture", f"no step refers to the file {name!r}; send pictures as file or files[]")


class _Reading:
    """Reads the fields of one request and collects faults."""

    def __init__(
        self, rules: Rules, body: dict[str, Any], ad_hoc: bool, inputs: Collection[str], *, shared: bool
    ) -> None:
        self._rules = rules
        # A field that is null is a field that is missing.
        self._body = {name: value for name, value in body.items() if value is not None}
        self._ad_hoc = ad_hoc
        self._inputs = inputs
        self._optional = inputs if shared else ()
        self._faults: list[Item] = []

    def result(self) -> PipelineRequest:
        ignored = tuple(unknown_fields(self._body, FIELDS, self._faults, strict=self._rules.strict))
        pictures = dict(self._pictures())
        self._inputs = {*self._inputs, *pictures}
        name, params = self._name(), self._params()
        recipe, version = self._recipe(name, params)
        ttl = self._retention()
        reference = checked_text(self._body, "clientReferenceId", reference_problem, self._faults)
        callback = checked_text(self._body, "callbackUrl", callback_problem, self._faults)
        media_id, upload_ids = self._text("mediaId"), tuple(self._upload_ids())
        if media_id is not None and upload_ids:
            self._faults.append(item(("uploadIds",), "invalid_value", "send mediaId or uploadIds, not both"))
        if recipe is not None:
            self._faults += picture_faults(recipe, self._rules.operations, self._inputs, optional=self._optional)
        if self._faults or recipe is None:
            raise InvalidPipeline(self._faults)
        inputs = (media_id, upload_ids, pictures)
        return PipelineRequest(recipe, name, version, params, ttl, reference, callback, *inputs, ignored)

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
                self._faults.append(item(PARAMS, "unknown_field", "steps have no params; write the values into them"))
            return steps, None
        same = steps is not None and steps == self._steps_of(preset, params)
        if same:
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
            if self._body.get("preset") in (None, ""):
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
        return self._object("params", "not an object")

    def _retention(self) -> timedelta | None:
        """Return how long the outputs were asked to be kept."""
        retention = self._object("retention", 'not an object; write {"ttlHours": 24}')
        for name in retention:
            if name != TTL:
                hint = did_you_mean(name, [TTL])
                self._faults.append(item(("retention", name), "unknown_field", f"unknown field {name[:100]!r}{hint}"))
        hours, place = retention.get(TTL), ("retention", TTL)
        if hours is None:
            return None
        if isinstance(hours, bool) or not isinstance(hours, int | float) or _is_nan(hours):
            self._faults.append(item(place, "wrong_type", "not a number of hours", hours))
        elif (ttl := HOUR * max(0, min(hours, LONGEST_HOURS))) > timedelta(0):
            return ttl
        else:
            self._faults.append(item(place, "out_of_range", "more than 0", hours))
        return None

    def _object(self, name: str, wanted: str) -> dict[str, Any]:
        value = self._body.get(name, {})
        if not isinstance(value, dict):
            self._faults.append(item((name,), "wrong_type", wanted, value))
        elif len(value) > MOST_FIELDS:
            self._faults.append(item((name,), "too_long", f"{len(value)} fields; up to {MOST_FIELDS} are read"))
        else:
            return value
        return {}

    def _upload_ids(self) -> Iterator[str]:
        ids = self._body.get("uploadIds", [])
        if not isinstance(ids, list) or not all(map(_is_text, ids)):
            self._faults.append(item(("uploadIds",), "wrong_type", "not a list of texts", ids))
        elif len(ids) > MOST_INPUTS:
            self._faults.append(item(("uploadIds",), "too_long", f"at most {MOST_INPUTS}"))
        elif len(set(ids)) < len(ids):
            self._faults.append(item(("uploadIds",), "invalid_value", "each upload once"))
        else:
            yield from ids

    def _pictures(self) -> Iterator[tuple[str, str]]:
        for name, media_id in self._object("pictures", 'not an object; write {"logo": "med_…"}').items():
            if not PICTURE.fullmatch(name):
                said = "name a picture with lower-case letters, digits, - and _, at most 64"
                self._faults.append(item(("pictures", name), "invalid_value", said))
            elif name in self._inputs:
                self._faults.append(item(("pictures", name), "invalid_value", "this picture was sent as a file too"))
            elif not _is_text(media_id):
                self._faults.append(item(("pictures", name), "wrong_type", "not the id of a media", media_id))
            else:
                yield name, media_id

    def _text(self, name: str) -> str | None:
        return optional_text(self._body, name, self._faults)


def optional_text(body: Mapping[str, Any], name: str, faults: list[Item]) -> str | None:
    """Return an optional text; an empty one counts as missing."""
    text = body.get(name)
    if text is None or text == "":
        return None
    if _is_text(text):
        return text
    faults.append(item((name,), "wrong_type", "not a text", text))
    return None


def checked_text(
    body: Mapping[str, Any], name: str, problem_of: Callable[[str | None], str | None], faults: list[Item]
) -> str | None:
    """Return an optional text in which ``problem_of`` finds no fault."""
    text = optional_text(body, name, faults)
    if (problem := problem_of(text)) is not None:
        faults.append(item((name,), "invalid_value", problem, text))
    return text


def unknown_fields(
    body: Mapping[str, Any], fields: Collection[str], faults: list[Item], *, strict: bool
) -> Iterator[str]:
    """Yield unknown fields; one that resembles a known one is a fault, since its caller counts on it."""
    for name in body:
        if name in fields:
            continue
        hint = did_you_mean(name, [known for known in fields if known not in body])
        if hint or strict:
            faults.append(item((name,), "unknown_field", f"unknown field {name[:100]!r}{hint}"))
        else:
            yield name[:100].encode(errors="replace").decode()


def _referred(recipe: Recipe, operations: Operations) -> frozenset[str]:
    found = (getattr(step.params, name) for step in recipe.steps for name in operations[step.op].inputs)
    return frozenset(name for name in found if name is not None)


def _is_text(value: object) -> TypeGuard[str]:
    """Return whether a JSON value is a text that can be encoded: half a surrogate cannot."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _is_nan(value: float) -> bool:
    return isinstance(value, float) and math.isnan(value)
