"""Faults: packets."""
