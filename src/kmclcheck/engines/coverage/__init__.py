"""Which states, transitions, rules and functions traces covered."""

from __future__ import annotations

from kmclcheck.engines.coverage.counter import Coverer
from kmclcheck.engines.coverage.tally import Count, Coverage, EventCount, RuleCount, Share
from kmclcheck.engines.coverage.universe import Edge, State, Universe

__all__ = ["Count", "Coverage", "Coverer", "Edge", "EventCount", "RuleCount", "Share", "State", "Universe"]
