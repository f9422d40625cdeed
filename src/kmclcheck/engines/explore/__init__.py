"""Explicit-state exploration: every way a specification allows, one state after another."""
