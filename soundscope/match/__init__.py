"""Record linkage: which track a chart entry means. Pure functions on frames; no database and no network here."""

from soundscope.match.decisions import check_decisions, read_decisions, write_decisions
from soundscope.match.explain import Explanation, explain
from soundscope.match.recordings import group_recordings
from soundscope.match.resolve import RULES_VERSION, match_keys

__all__ = [
    "RULES_VERSION",
    "Explanation",
    "check_decisions",
    "explain",
    "group_recordings",
    "match_keys",
    "read_decisions",
    "write_decisions",
]
