"""Moderators: their protocols, several as one, and the policy that turns their scores into a verdict."""

from mediagate.moderation.ensemble import Ensemble, members_of, smallest_input_edge, together
from mediagate.moderation.labels import Names, names_of, policy_problems, thresholds_for
from mediagate.moderation.policy import (
    REJECTED,
    apply_policy,
    count_review_as_reject,
    merge,
    stricter,
    with_group_scores,
)
from mediagate.moderation.protocols import (
    MAX_NAME,
    Moderator,
    Picture,
    RemoteModerator,
    exclusive_of,
    input_edge,
    name_of,
    reads_of,
)
from mediagate.moderation.rejudging import policy_of_published
from mediagate.moderation.selection import judged_remotely, judging, selection_problems

__all__ = [
    "MAX_NAME",
    "REJECTED",
    "Ensemble",
    "Moderator",
    "Names",
    "Picture",
    "RemoteModerator",
    "apply_policy",
    "count_review_as_reject",
    "exclusive_of",
    "input_edge",
    "judged_remotely",
    "judging",
    "members_of",
    "merge",
    "name_of",
    "names_of",
    "policy_of_published",
    "policy_problems",
    "reads_of",
    "selection_problems",
    "smallest_input_edge",
    "stricter",
    "thresholds_for",
    "together",
    "with_group_scores",
]
