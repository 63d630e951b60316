"""The effects of a bucket's lifecycle rules on live media."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MIN_STAGING_DAYS = 2
"""A failed upload is retained for a retry for one day by default, and a rule's days end at midnight."""
ABORT_RULE = "no rule ends unfinished multipart uploads (AbortIncompleteMultipartUpload): killed processes leave some"
VERSIONS_RULE = "versioning is on and no rule removes old versions: deleted pictures stay in the bucket"


def remarks(
    rules: Sequence[Mapping[str, Any]], *, live: Sequence[str], staged: str | None, versioned: bool
) -> tuple[list[str], list[str]]:
    """Return the problems of rules, in the format of ``GetBucketLifecycleConfiguration``, and notes on them.

    ``live`` are the prefixes of published files in this bucket, ``staged`` the quarantine's, ``None`` when elsewhere.
    """
    problems: list[str] = []
    enabled = [rule for rule in rules if rule.get("Status") == "Enabled"]
    for rule in enabled:
        prefix = _prefix(rule)
        name = f"rule {rule.get('ID') or prefix or '(all objects)'!r:.80}"
        touched = [place for place in live if _tagless(rule) and (place.startswith(prefix) or prefix.startswith(place))]
        if touched and _expires(rule):
            problems.append(f"{name} removes live media below {touched[0]}: restrict it to another prefix")
        if touched and rule.get("Transitions"):
            problems.append(f"{name} moves live media to a storage class that may not be read at once")
        days = rule.get("Expiration", {}).get("Days")
        covers = staged is not None and _tagless(rule) and (staged.startswith(prefix) or prefix.startswith(staged))
        if covers and _expires(rule) and (days is None or days < MIN_STAGING_DAYS):
            problems.append(f"{name} removes uploads that may still be waiting: set at least {MIN_STAGING_DAYS} days")
    notes = []
    if not any("AbortIncompleteMultipartUpload" in rule for rule in enabled):
        notes.append(ABORT_RULE)
    if versioned and not any("NoncurrentVersionExpiration" in rule for rule in enabled):
        notes.append(VERSIONS_RULE)
    return problems, notes


def _expires(rule: Mapping[str, Any]) -> bool:
    return bool({"Days", "Date"} & set(rule.get("Expiration", {})))


def _prefix(rule: Mapping[str, Any]) -> str:
    told = rule.get("Filter") or {}
    return str(told.get("Prefix") or told.get("And", {}).get("Prefix") or rule.get("Prefix") or "")


def _tagless(rule: Mapping[str, Any]) -> bool:
    """Whether a rule requires no tags; mediagate's objects have none."""
    told = rule.get("Filter") or {}
    return not (told.get("Tag") or told.get("And", {}).get("Tags"))
