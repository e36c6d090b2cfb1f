"""Record linkage: which track a chart entry means. Pure functions on frames; no database and no network here."""

from soundscope.match.resolve import RULES_VERSION, match_keys

__all__ = ["RULES_VERSION", "match_keys"]
