"""Faults: saving."""
