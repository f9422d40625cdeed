"""Trace formats, one module each; a module registers itself by defining ``FORMAT``.

Modules whose name begins with an underscore are helpers and are not searched.
"""
