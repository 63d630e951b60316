"""The requests of ImageHQ in the native words, with the place of each part in the request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, get_args

from mediagate.errors import InvalidPipeline
from mediagate.operations import MOST_STEPS, Item, Place, did_you_mean, item
from mediagate_plugins.dialects.dialect import check, pointer, renamed
from mediagate_plugins.pipelines import Rules, Translation

FAMILIES: Mapping[str, Sequence[str]] = {
    "convert": (),
    "transform": ("transform", "watermark"),
    **{name: (name,) for name in ("filter", "optimize", "metadata", "ocr", "document", "enhance")},
}
"""The native families of each family of ImageHQ."""
OUTER = {"tool_slug": "preset", "client_reference_id": "clientReferenceId", "retention_policy": "retention"}
"""The fields of every request beside its steps, with their native names."""
INPUT_FORMATS = ("jpg", "jpeg", "png", "webp", "gif", "avif", "heic", "pdf")
CONVERT = "convert_to_"
HOUR = timedelta(hours=1)
MOST_FAULTS = 100
"""Faults of a batch after which its further jobs are not read; no more are told."""


def translated(body: dict[str, Any], rules: Rules, family: str | None) -> Translation:
    """Return the request of a pipeline, or of the endpoint of a family; raises ``InvalidPipeline``."""
    order = _Order(rules)
    document = order.read(body, family)
    check(order.faults)
    return Translation(document, order.places, "imagehq", family or "pipeline")


def translated_batch(body: dict[str, Any], rules: Rules) -> Translation:
    """Return the request of a batch, whose jobs are pipelines; raises ``InvalidPipeline``."""
    told, places, faults = renamed(body, {"jobs": "jobs", "client_reference_id": "clientReferenceId"})
    jobs = told.get("jobs")
    if isinstance(jobs, list) and len(jobs) <= rules.batch_jobs:
        told["jobs"] = []
        for number, job in enumerate(jobs):
            order = _Order(rules, ("jobs", number))
            told["jobs"].append(order.read(job, None))
            places |= order.places
            faults += order.faults
            if len(faults) >= MOST_FAULTS:
                raise InvalidPipeline(faults[:MOST_FAULTS])
    check(faults)
    return Translation(told, places, "imagehq", "pipeline")


class _Order:
    """Reads one request, and collects its native steps, their places and faults."""

    def __init__(self, rules: Rules, at: Place = ()) -> None:
        self._rules = rules
        self._at = at
        self._steps: list[dict[str, Any]] = []
        self.places: dict[str, str] = {}
        self.faults: list[Item] = []

    def read(self, body: object, family: str | None) -> dict[str, Any]:
        """Return the native request."""
        if not isinstance(body, dict):
            self._fault(self._at, "wrong_type", "not an object")
            return {}
        if family is None:
            own = {"steps": "steps", "files": "files"} if self._at else {"steps": "steps"}
            told = self._renamed(body, {**OUTER, **own}, self._at)
            if self._at and told.get("files") in (None, []):
                self._fault((*self._at, "files"), "missing", "name files of the form")
            if told.get("steps") is not None:
                self._read_steps(told["steps"])
                told["steps"] = self._steps
        else:
            told = self._renamed({name: value for name, value in body.items() if name in OUTER}, OUTER, self._at)
            inner = {name: value for name, value in body.items() if name not in OUTER}
            if inner or told.get("preset") is None:
                self.places[pointer(("steps",))] = pointer(())
                self._read_request(family, inner, ())
                told["steps"] = self._steps
        # No field has parameters: a fault of those of a preset is one of its name.
        self.places[pointer((*self._at, "params"))] = pointer((*self._at, "tool_slug"))
        if told.get("retention") is not None:
            told["retention"] = self._retention(told["retention"], (*self._at, "retention_policy"))
        return told

    def _read_steps(self, steps: object) -> None:
        for place, step in self._objects(steps, (*self._at, "steps")):
            if len(self._steps) > MOST_STEPS:
                self._fault((*self._at, "steps"), "too_long", f"more than {MOST_STEPS} operations")
                break
            told = self._renamed(step, {"operation": "operation", "request": "request"}, place, moved=False)
            family = self._text(step, "operation", place)
            if family is not None and family not in FAMILIES:
                hint = did_you_mean(family, FAMILIES)
                self._fault((*place, "operation"), "unknown_value", f"one of {', '.join(FAMILIES)}{hint}")
            elif not isinstance(told.get("request"), dict):
                self._fault((*place, "request"), "wrong_type" if "request" in told else "missing", "send an object")
            elif family is not None:
                self._read_request(family, told["request"], (*place, "request"))

    def _read_request(self, family: str, body: dict[str, Any], at: Place) -> None:
        """Read what one family does: a list of operations, or a single one."""
        if "input_format" in body and family in ("convert", "optimize"):
            body = dict(body)
            if (named := self._text(body, "input_format", at)) is not None and named not in INPUT_FORMATS:
                self._fault((*at, "input_format"), "unknown_value", f"one of {', '.join(INPUT_FORMATS)}")
            del body["input_format"]
        lists = [
            name for name in ("filters", "operations") if name in body and (name != "filters" or family == "filter")
        ]
        if not lists:
            self._read_operation(family, body, "operation", at)
            return
        told = self._renamed(body, {lists[0]: "list"}, at, moved=False)
        if "list" in told:
            for place, one in self._objects(told["list"], (*at, lists[0])):
                self._read_operation(family, one, "type", place)

    def _read_operation(self, family: str, body: dict[str, Any], key: str, at: Place) -> None:
        name, prefix = "ocr" if family == "ocr" and key not in body else None, ""
        if family == "convert" and key not in body and "output_format" in body:
            key, prefix = "output_format", CONVERT
        if name is None and (name := self._text(body, key, at)) is None:
            return
        native = self._native(family, prefix + name, (*at, key))
        if native is None:
            return
        here = pointer((*self._at, "steps", len(self._steps)))
        self.places |= {here: pointer(at), f"{here}/onError": pointer((*at, "on_error"))}
        self.places |= {f"{here}/{field}": pointer((*at, key)) for field in native}
        for field, value in body.items():
            if field in native or field in ("op", "onError"):
                self._fault((*at, field), "unknown_field", f"unknown field {field!r}")
            elif field != key:
                native["onError" if field == "on_error" else field] = value
        self._steps.append(native)

    def _native(self, family: str, name: str, place: Place) -> dict[str, Any] | None:
        """Return the fields of a native step that the name of an operation says."""
        if name.startswith(CONVERT) and family in ("convert", "optimize"):
            named = name.removeprefix(CONVERT)
            return {"op": "save", "format": "jpeg" if named == "jpg" else named}
        known: dict[str, dict[str, Any]] = {
            one: {"op": one} for one, made in self._rules.operations.items() if made.family in FAMILIES[family]
        }
        if family == "optimize":
            known["compress"] = {"op": "save", "format": None}
        if family == "metadata":
            known |= {one.removesuffix("_metadata"): {"op": one} for one in tuple(known)}
        if family == "filter" and "look" in known:
            looks = get_args(self._rules.operations["look"].params.model_fields["name"].annotation)
            known = {look: {"op": "look", "name": look} for look in looks} | known
        if name in known:
            return dict(known[name])
        hint = did_you_mean(name, known)
        if hint or name in self._rules.operations or not known:
            self._fault(place, "unknown_operation", f"{family} has no operation {name[:100]!r}{hint}")
            return None
        return {"op": name}  # refused natively, with the reason if it is known why there is no such operation

    def _retention(self, policy: object, at: Place) -> dict[str, Any]:
        if not isinstance(policy, dict):
            self._fault(at, "wrong_type", 'not an object; write {"ttl_hours": 24}')
            return {}
        told = self._renamed(policy, {"ttl_hours": "ttlHours", "clamp": "clamp"}, at, moved=False)
        self.places[pointer((*self._at, "retention", "ttlHours"))] = pointer((*at, "ttl_hours"))
        clamp, hours, most = told.pop("clamp", None), told.get("ttlHours"), self._rules.max_ttl / HOUR
        if clamp is not None and not isinstance(clamp, bool):
            self._fault((*at, "clamp"), "wrong_type", "not true or false")
        if clamp is False and isinstance(hours, int | float) and hours > most:
            self._fault((*at, "ttl_hours"), "out_of_range", f"at most {most:g}, which clamp cuts more hours to")
        return told

    def _objects(self, value: object, at: Place) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Yield each object of a list with its place."""
        if not isinstance(value, list):
            self._fault(at, "wrong_type", "not a list")
        elif not value:
            self._fault(at, "missing", "write at least one")
        elif len(value) > MOST_STEPS:
            self._fault(at, "too_long", f"{len(value)}; up to {MOST_STEPS} are accepted")
        else:
            for number, one in enumerate(value):
                if isinstance(one, dict):
                    yield (*at, number), one
                else:
                    self._fault((*at, number), "wrong_type", "not an object")

    def _text(self, body: dict[str, Any], name: str, at: Place) -> str | None:
        value = body.get(name)
        if isinstance(value, str):
            return value
        wrong = ("wrong_type", "not a text") if name in body else ("missing", "this field is required")
        self._fault((*at, name), *wrong)
        return None

    def _renamed(
        self, body: dict[str, Any], names: Mapping[str, str], at: Place, *, moved: bool = True
    ) -> dict[str, Any]:
        told, places, faults = renamed(body, names, at)
        self.faults += faults
        if moved:
            self.places |= {pointer(self._at) + native: place for native, place in places.items()}
        return told

    def _fault(self, place: Place, code: str, detail: str) -> None:
        self.faults.append(item(place, code, detail))
