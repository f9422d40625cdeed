"""Whole traces judged by walking the state graphs of the machines: a second opinion on the monitor.

Every object has a place in each of its state graphs, as a nondeterministic automaton has: a set of nodes.
An event follows the edges labelled with it; what the trace does not show adds the nodes that can be reached
unseen. Nothing here is shared with the monitor but the IR.
"""
