"""Z3 at the edge: circuits as terms, one solver, answers as plain values.

Z3 has no types, so its objects are ``Any`` here and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import Enum
from typing import Any

import z3

from kmclcheck.engines.symbolic.circuit import Circuit, Lit

_z3: Any = z3


def _plain(name: str) -> Any:
    """Return a function of the library without the look for errors that follows every call.

    Terms are made and looked at by the thousand, and nothing can go wrong with them.
    """
    function = getattr(_z3, name)
    defaults = function.__defaults__ or (None,)
    return getattr(defaults[0], "f", function)


class _Fast:
    """The functions that are called most."""

    mk_and = staticmethod(_plain("Z3_mk_and"))
    mk_not = staticmethod(_plain("Z3_mk_not"))
    mk_iff = staticmethod(_plain("Z3_mk_iff"))
    mk_const = staticmethod(_plain("Z3_mk_const"))
    inc_ref = staticmethod(_plain("Z3_inc_ref"))
    get_ast_id = staticmethod(_plain("Z3_get_ast_id"))
    get_app_decl = staticmethod(_plain("Z3_get_app_decl"))
    get_bool_value = staticmethod(_plain("Z3_get_bool_value"))
    model_get_const_interp = staticmethod(_plain("Z3_model_get_const_interp"))


class Answer(Enum):
    """What the solver said. ``UNKNOWN`` is no answer: it ran out of time, or gave up."""

    YES = "sat"
    NO = "unsat"
    UNKNOWN = "unknown"


class Solver:
    """Decides literals of a circuit. Gates become terms once; ``cut`` literals become names.

    A name in place of a term keeps what the solver has to look at local: the meaning of one step does
    not contain those of all steps before it. ``small``: for many little questions about one step, rather
    than few hard ones about many.
    """

    def __init__(self, circuit: Circuit, small: bool = False) -> None:
        self.circuit = circuit
        self.seconds = 0.0
        self.checks = 0
        # A context of its own frees all terms with it.
        self._context: Any = _z3.Context()
        self._ref: Any = self._context.ref()
        make = _z3.SimpleSolver if small else _z3.SolverFor
        self._solver: Any = make(ctx=self._context) if small else make("QF_FD", ctx=self._context)
        self._terms: dict[Lit, Any] = {}
        self._names: dict[int, Any] = {}
        self._hold(1, _z3.Z3_mk_true(self._ref))
        self._hold(-1, _z3.Z3_mk_false(self._ref))
        self._model: Any = None

    def require(self, lits: Iterable[Lit]) -> None:
        """Let all literals be true from now on."""
        self._assert([self._term(lit) for lit in lits if lit != 1])

    def cut(self, lits: Iterable[Lit]) -> None:
        """Give names to what gates compute; what is built on them later uses the names."""
        definitions = []
        for lit in {abs(lit) for lit in lits}:
            if self.circuit.gates[lit] and lit > 1 and lit not in self._names:
                term = self._term(lit)
                name = self._constant(lit)
                definitions.append(_Fast.mk_iff(self._ref, name, term))
                _Fast.inc_ref(self._ref, definitions[-1])
                self._terms.pop(-lit, None)
                self._terms[lit] = name
        self._assert(definitions)

    def check(self, assumptions: Iterable[Lit], seconds: float) -> Answer:
        """Return whether everything required can be true together with the assumptions."""
        if seconds <= 0:
            return Answer.UNKNOWN
        lits = list(assumptions)
        if -1 in lits:
            return Answer.NO
        self.cut(lits)
        terms = [self._term(lit) for lit in lits if lit != 1]
        self._solver.set("timeout", max(1, int(seconds * 1000)))
        started = time.perf_counter()
        array = (_z3.Ast * max(1, len(terms)))(*terms)
        result = _z3.Z3_solver_check_assumptions(self._ref, self._solver.solver, len(terms), array)
        self.seconds += time.perf_counter() - started
        self.checks += 1
        if result == 1:
            self._model = self._solver.model()
            return Answer.YES
        return Answer.NO if result == -1 else Answer.UNKNOWN

    def core(self, assumptions: Iterable[Lit]) -> list[Lit]:
        """Return assumptions that are enough for the "no" that was just given."""
        names = {_Fast.get_ast_id(self._ref, self._term(lit)): lit for lit in assumptions}
        vector = _z3.Z3_solver_get_unsat_core(self._ref, self._solver.solver)
        _z3.Z3_ast_vector_inc_ref(self._ref, vector)
        count = _z3.Z3_ast_vector_size(self._ref, vector)
        ids = [
            _Fast.get_ast_id(self._ref, _z3.Z3_ast_vector_get(self._ref, vector, at)) for at in range(count)
        ]
        _z3.Z3_ast_vector_dec_ref(self._ref, vector)
        return [names[id] for id in ids]

    def values(self, lits: Iterable[Lit]) -> dict[Lit, bool]:
        """Return what the literals are in the model that was found; what the model leaves open is false."""
        wanted = list(lits)
        known: dict[int, bool] = {1: True}
        gates = self.circuit.gates
        todo = [abs(lit) for lit in wanted]
        while todo:
            node = todo[-1]
            if node in known:
                todo.pop()
            elif node in self._names or not gates[node]:
                known[node] = self._value(node)
            else:
                missing = [abs(lit) for lit in gates[node] if abs(lit) not in known]
                if missing:
                    todo += missing
                else:
                    known[node] = all(known[abs(lit)] is (lit > 0) for lit in gates[node])
        return {lit: known[abs(lit)] is (lit > 0) for lit in wanted}

    def _value(self, node: int) -> bool:
        declaration = self._names.get(node)
        if declaration is None:
            return False
        found = _Fast.model_get_const_interp(self._ref, self._model.model, declaration)
        return bool(found) and _Fast.get_bool_value(self._ref, found) == 1

    # Terms.

    def _assert(self, terms: list[Any]) -> None:
        if terms:
            term = self._and(terms) if len(terms) > 1 else terms[0]
            _z3.Z3_solver_assert(self._ref, self._solver.solver, term)

    def _and(self, terms: list[Any]) -> Any:
        term = _Fast.mk_and(self._ref, len(terms), (_z3.Ast * len(terms))(*terms))
        _Fast.inc_ref(self._ref, term)
        return term

    def _hold(self, lit: Lit, term: Any) -> Any:
        _Fast.inc_ref(self._ref, term)
        self._terms[lit] = term
        return term

    def _constant(self, node: int) -> Any:
        symbol = _z3.Z3_mk_string_symbol(self._ref, f"n{node}")
        term = _Fast.mk_const(self._ref, symbol, _z3.Z3_mk_bool_sort(self._ref))
        _Fast.inc_ref(self._ref, term)
        self._names[node] = _Fast.get_app_decl(self._ref, term)
        return term

    def _term(self, lit: Lit) -> Any:
        """Return the term of a literal. Operands come first, so that no chain of gates is too deep."""
        terms = self._terms
        found = terms.get(lit)
        if found is not None:
            return found
        gates = self.circuit.gates
        stack = [abs(lit)]
        while stack:
            node = stack[-1]
            if node in terms:
                stack.pop()
                continue
            operands = gates[node]
            missing = [abs(o) for o in operands if abs(o) not in terms]
            if missing:
                stack += missing
                continue
            stack.pop()
            if operands:
                terms[node] = self._and([self._signed(o) for o in operands])
            else:
                terms[node] = self._constant(node)
        return self._signed(lit)

    def _signed(self, lit: Lit) -> Any:
        found = self._terms.get(lit)
        if found is None:
            found = self._hold(lit, _Fast.mk_not(self._ref, self._terms[-lit]))
        return found
