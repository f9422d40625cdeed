"""Repairs: the smallest change of driver calls that makes the slice of a finding conform."""

from __future__ import annotations

from kmclcheck.engines.repair.base import Tape
from kmclcheck.engines.repair.changes import Change, ChangeKind, Repair, Standing
from kmclcheck.engines.repair.lines import Line, Mark
from kmclcheck.engines.repair.repairer import Bounds, Repairer, RepairingChecker

__all__ = [
    "Bounds",
    "Change",
    "ChangeKind",
    "Line",
    "Mark",
    "Repair",
    "Repairer",
    "RepairingChecker",
    "Standing",
    "Tape",
]
