"""A given trace as constraints: what it does not tell are inputs of a circuit, and Z3 judges every rule.

A field is a set of values, one literal for each: what the documents leave open, given the facts. What the
trace does not show are facts that may be one way or the other. A rule is broken where it is broken whatever
the facts are, and open where that depends on them.
"""
