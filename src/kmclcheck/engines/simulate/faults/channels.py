"""Faults: channels."""
