"""Pictures from the specification and from traces: pure text, nothing is drawn by other programs unless asked."""
