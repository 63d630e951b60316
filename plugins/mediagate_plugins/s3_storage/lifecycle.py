"""What a bucket's lifecycle rules would do to live media."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MIN_STAGING_DAYS = 2
"""A failed upload is kept for another try for a day unless told, and a rule's days end at midnight."""
ABORT_RULE = "no rule ends unfinished multipart uploads (AbortIncompleteMultipartUpload): killed processes leave some"
VERSIONS_RULE = "versioning is on and no rule removes old versions: deleted pictures stay in the bucket"


def remarks(
    rules: Sequence[Mapping[str, Any]], *, live: Sequence[str], staged: str | None, versioned: bool
) -> tuple[list[str], list[str]]:
    """Return what is wrong with rules, as ``GetBucketLifecycleConfiguration`` gives them, and what is worth a note.

    ``live`` are the prefixes of published files in this bucket, ``staged`` the quarantine's, ``None`` when elsewhere.
    """
    problems: list[str] = []
    enabled = [rule for rule in rules if rule.get("Status") == "Enabled"]
    for rule in enabled:
        prefix = _prefix(rule)
        name = f"rule {rule.get('ID') or prefix or '(all objects)'!r:.80}"
        touched = [place for place in live if _tagless(rule) and (place.startswith(prefix) or prefix.startswith(place))]
        if touched and _expires(rule):
            problems.append(f"{name} removes live media below {touched[0]}: narrow it to another prefix")
        if touched and rule.get("Transitions"):
            problems.append(f"{name} moves live media to a storage class that may not be read at once")
        days = rule.get("Expiration", {}).get("Days")
        covers = staged is not None and _tagless(rule) and (staged.startswith(prefix) or prefix.startswith(staged))
        if covers and _expires(rule) and (days is None or days < MIN_STAGING_DAYS):
            problems.append(f"{name} removes uploads that may still wait: give it {MIN_STAGING_DAYS} days at least")
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
    """Whether a rule asks for no tags: mediagate's objects have none."""
    told = rule.get("Filter") or {}
    return not (told.get("Tag") or told.get("And", {}).get("Tags"))
