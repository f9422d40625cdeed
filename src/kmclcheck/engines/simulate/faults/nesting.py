"""Faults: nesting."""
