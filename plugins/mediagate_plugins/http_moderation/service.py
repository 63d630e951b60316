"""The description of a moderation service: its request body, and the paths of the scores in its answer."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mediagate.errors import ConfigError, ModerationFailed
from mediagate.outbound import Target, read_url

IMAGE, DATA_URL = "{image}", "{data_url}"
"""Placeholders in the body for the JPEG: in Base64, and as a ``data:`` URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One JSON API. Raises ``ConfigError`` that names every invalid field.

    ``body`` is the JSON request, with ``{image}`` or ``{data_url}`` for the picture. ``scores`` maps each label to the
    path of its score in the answer, such as ``results.0.category_scores.sexual``; ``words`` maps words in the answer to
    scores. ``headers`` carry the key and are never shown.
    """

    url: str
    body: Any
    scores: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    words: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    """The model's name in verdicts; by default the host's name."""
    insecure_http: bool = False
    private_networks: Sequence[str] = ()
    """Networks that may be contacted although they are not public, such as ``10.0.0.0/8``."""

    def __post_init__(self) -> None:
        problems = []
        try:
            if not read_url(self.url).secure and not self.insecure_http:
                problems.append("url: it must begin with https:// (or say insecure_http=True)")
        except ValueError as exc:
            problems.append(f"url: {exc}")
        text = json.dumps(self.body)
        if IMAGE not in text and DATA_URL not in text:
            problems.append(f"body: insert {IMAGE} or {DATA_URL} for the picture")
        if not self.scores:
            problems.append("scores: give at least one label with the path of its score")
        if wrong := [word for word, score in self.words.items() if not 0 <= score <= 1]:
            problems.append(f"words: {', '.join(wrong)} must map to a score within 0-1")
        if wrong := [name for name, value in self.headers.items() if not _fit(name) or not _fit(value)]:
            problems.append(f"headers: {', '.join(map(repr, wrong))}: use printable ASCII")
        if problems:
            raise ConfigError([f"http_moderation: Service.{problem}" for problem in problems])

    @property
    def target(self) -> Target:
        """The parsed URL."""
        return read_url(self.url)

    def request(self, jpeg: bytes) -> bytes:
        """Return the request body for a picture."""
        image = base64.b64encode(jpeg).decode()
        return json.dumps(_filled(self.body, {IMAGE: image, DATA_URL: f"data:image/jpeg;base64,{image}"})).encode()

    def read(self, answer: bytes) -> dict[str, float]:
        """Return the score of every label; raises ``ModerationFailed`` for an answer without one of them."""
        try:
            told = json.loads(answer)
        except (ValueError, RecursionError):
            raise ModerationFailed("the moderation service's answer is not JSON") from None
        return {label: self._score(label, path, told) for label, path in self.scores.items()}

    def _score(self, label: str, path: str, told: Any) -> float:
        found = told
        for step in path.split("."):
            if isinstance(found, list) and step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            elif isinstance(found, dict) and step in found:
                found = found[step]
            else:
                raise ModerationFailed(f"the moderation service's answer has no value for {label!r} at {path!r}")
        if isinstance(found, str) and found in self.words:
            return float(self.words[found])
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            raise ModerationFailed(f"the moderation service's answer has no score for {label!r} at {path!r}")
        return float(found)


def _filled(template: Any, values: Mapping[str, str]) -> Any:
    if isinstance(template, str):
        return values.get(template, template)
    if isinstance(template, Mapping):
        return {name: _filled(value, values) for name, value in template.items()}
    if isinstance(template, list | tuple):
        return [_filled(value, values) for value in template]
    return template


def _fit(text: str) -> bool:
    return text.isascii() and text.isprintable() and bool(text)
