"""Readers against damaged files: no crash, no hang, no memory out of proportion."""
