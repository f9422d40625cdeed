"""The documentation of a specification as a static site: a page per rule, state machine and function.

Everything on the pages is made from the specification, and from traces that the monitor replayed.
"""
