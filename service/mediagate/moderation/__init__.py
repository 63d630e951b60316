"""Moderators: their protocols, and the policy that turns their scores into a verdict."""

from mediagate.moderation.labels import Names, names_of, policy_problems, thresholds_for
from mediagate.moderation.policy import (
    Moderator,
    Picture,
    RemoteModerator,
    apply_policy,
    count_review_as_reject,
    input_edge,
    merge,
    reads_of,
    stricter,
)

__all__ = [
    "Moderator",
    "Names",
    "Picture",
    "RemoteModerator",
    "apply_policy",
    "count_review_as_reject",
    "input_edge",
    "merge",
    "names_of",
    "policy_problems",
    "reads_of",
    "stricter",
    "thresholds_for",
]
