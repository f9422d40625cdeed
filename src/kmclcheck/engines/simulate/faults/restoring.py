"""Faults: restoring."""
