"""The one meaning of a specification: what a condition, a transition and a step say.

Two reasons keep a value open: the documents allow several, or the trace does not show enough. Only
the second makes a verdict open, so every possible value carries whether data is missing.
"""
