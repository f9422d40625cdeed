"""Faults: gpadls."""
