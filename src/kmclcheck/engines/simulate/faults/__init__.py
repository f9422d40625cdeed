"""Faults on demand: each breaks one rule once, at a place that the seed chooses.

A fault is written against the reference and names the rule that has to fire. It changes what a driver does
(for a rule of drivers) or what the library does (for a guarantee), and nothing else.
"""

from __future__ import annotations

from kmclcheck.engines.simulate.faults.injector import Fault, Injector, Place, all_faults, fault

__all__ = ["Fault", "Injector", "Place", "all_faults", "fault"]
