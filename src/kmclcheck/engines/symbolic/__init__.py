"""The symbolic engine: shortest counterexamples and proofs by Z3. Z3 is imported nowhere else."""

from kmclcheck.engines.symbolic.bounds import Bounds, Found, NoneWithin, OutOfBudgetError, UnsupportedError
from kmclcheck.engines.symbolic.search import shortest

__all__ = [
    "Bounds",
    "Found",
    "NoneWithin",
    "OutOfBudgetError",
    "UnsupportedError",
    "shortest",
]
