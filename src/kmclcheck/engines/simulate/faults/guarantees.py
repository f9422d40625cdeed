"""Faults: guarantees."""
