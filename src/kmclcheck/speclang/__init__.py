"""The specification language: reads ``.kmcl`` files into the IR, and prints the IR back.

Importing this package does not import the parser; see ``cache``.
"""

from kmclcheck.speclang.loader import bundled_spec, check_spec, load_spec
from kmclcheck.speclang.show import format_checks, format_expr, show_machine, show_rule

__all__ = [
    "bundled_spec",
    "check_spec",
    "format_checks",
    "format_expr",
    "load_spec",
    "show_machine",
    "show_rule",
]
