"""What the other packages talk about: events, the IR of a specification, verdicts and findings."""
