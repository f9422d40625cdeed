"""Pictures from the specification and from traces: pure text, made without the help of other programs."""
