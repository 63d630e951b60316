"""Two well-known services, configured by their documentation; both receive your pictures.

OpenAI: https://platform.openai.com/docs/api-reference/moderations. Google Cloud Vision:
https://cloud.google.com/vision/docs/detecting-safe-search, whose answer is one of five words per label.
"""

from __future__ import annotations

from collections.abc import Sequence

from mediagate_plugins.http_moderation.service import Service

OPENAI_LABELS = ("sexual", "violence", "violence/graphic", "self-harm", "self-harm/intent", "self-harm/instructions")
"""The categories that OpenAI scores for pictures; the others are for text."""
GOOGLE_LABELS = ("adult", "racy", "violence", "medical", "spoof")
LIKELIHOOD = {"VERY_UNLIKELY": 0.0, "UNLIKELY": 0.25, "POSSIBLE": 0.5, "LIKELY": 0.75, "VERY_LIKELY": 1.0}
"""``UNKNOWN`` has no score: without an opinion nothing is published."""


def openai(
    key: str,
    *,
    url: str = "https://api.openai.com/v1/moderations",
    insecure_http: bool = False,
    private_networks: Sequence[str] = (),
) -> Service:
    """Return OpenAI's moderation; labels are those of ``OPENAI_LABELS``."""
    return Service(
        url=url,
        headers={"authorization": f"Bearer {key}"},
        body={
            "model": "omni-moderation-latest",
            "input": [{"type": "image_url", "image_url": {"url": "{data_url}"}}],
        },
        scores={label: f"results.0.category_scores.{label}" for label in OPENAI_LABELS},
        model="openai/omni-moderation-latest",
        insecure_http=insecure_http,
        private_networks=private_networks,
    )


def google_safe_search(
    key: str,
    *,
    url: str = "https://vision.googleapis.com/v1/images:annotate",
    insecure_http: bool = False,
    private_networks: Sequence[str] = (),
) -> Service:
    """Return Google's SafeSearch; labels are those of ``GOOGLE_LABELS``, in steps of a quarter."""
    return Service(
        url=url,
        headers={"x-goog-api-key": key},
        body={"requests": [{"image": {"content": "{image}"}, "features": [{"type": "SAFE_SEARCH_DETECTION"}]}]},
        scores={label: f"responses.0.safeSearchAnnotation.{label}" for label in GOOGLE_LABELS},
        words=LIKELIHOOD,
        model="google/safe-search",
        insecure_http=insecure_http,
        private_networks=private_networks,
    )
