"""Models in Promela, the language of the model checker SPIN, of bounded instances of a specification."""

from kmclcheck.engines.promela.bounds import Bounds, UnsupportedError
from kmclcheck.engines.promela.claims import Claims, chosen
from kmclcheck.engines.promela.model import Model, write
from kmclcheck.engines.promela.trail import Trail, read_trail

__all__ = ["Bounds", "Claims", "Model", "Trail", "UnsupportedError", "chosen", "read_trail", "write"]
