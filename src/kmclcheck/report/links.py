"""Where the documentation of a rule is read."""

from __future__ import annotations

DOCUMENTATION = ""
"""The address of the documentation, with a slash at its end; empty as long as it has no public one.

``--docs-url`` sets it for a run, for documentation that a team has put somewhere itself.
"""


def rule_page(rule: str) -> str:
    """Return the page of a rule, relative to the address of the documentation."""
    return f"rules/{rule}.html"


def rule_address(rule: str, base: str) -> str | None:
    """Return the absolute address of the page of a rule, or ``None`` if the documentation has none."""
    base = base or DOCUMENTATION
    return f"{base.rstrip('/')}/{rule_page(rule)}" if base else None
