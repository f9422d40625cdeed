"""Formal lifecycle checking of driver call traces against the rules of an API."""

__version__ = "0.1.0"
