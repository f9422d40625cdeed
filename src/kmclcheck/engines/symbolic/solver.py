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


class Answer(Enum):
    """What the solver said. ``UNKNOWN`` is no answer: it ran out of time, or gave up."""

    YES = "sat"
    NO = "unsat"
    UNKNOWN = "unknown"


class Solver:
    """Decides literals of a circuit. Gates become terms once; ``cut`` literals become names.

    A name in place of a term keeps what the solver has to look at local: the meaning of one step does
    not contain those of all steps before it.
    """

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.seconds = 0.0
        self.checks = 0
        # A context of its own frees all terms with it.
        self._context: Any = _z3.Context()
        self._ref: Any = self._context.ref()
        self._solver: Any = _z3.SolverFor("QF_FD", ctx=self._context)
        self._terms: dict[Lit, Any] = {}
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
            if self.circuit.gates[lit] and lit > 1:
                term = self._term(lit)
                name = self._constant(f"n{lit}")
                definitions.append(_z3.Z3_mk_iff(self._ref, name, term))
                _z3.Z3_inc_ref(self._ref, definitions[-1])
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

    def values(self, lits: Iterable[Lit]) -> dict[Lit, bool]:
        """Return what the literals are in the model that was found; what the model leaves open is false."""
        inputs: dict[str, bool] = {}
        for declaration in self._model:
            inputs[declaration.name()] = bool(_z3.is_true(self._model[declaration]))
        wanted = list(lits)
        known: dict[int, bool] = {1: True}
        gates = self.circuit.gates
        for node in self.circuit.needed(wanted):
            for lit in gates[node]:
                if not gates[abs(lit)] and abs(lit) not in known:
                    known[abs(lit)] = inputs.get(f"n{abs(lit)}", False)
            known[node] = all(known[abs(lit)] is (lit > 0) for lit in gates[node])
        for lit in wanted:
            if not gates[abs(lit)] and abs(lit) not in known:
                known[abs(lit)] = inputs.get(f"n{abs(lit)}", False)
        return {lit: known[abs(lit)] is (lit > 0) for lit in wanted}

    # Terms.

    def _assert(self, terms: list[Any]) -> None:
        if terms:
            term = self._and(terms) if len(terms) > 1 else terms[0]
            _z3.Z3_solver_assert(self._ref, self._solver.solver, term)

    def _and(self, terms: list[Any]) -> Any:
        term = _z3.Z3_mk_and(self._ref, len(terms), (_z3.Ast * len(terms))(*terms))
        _z3.Z3_inc_ref(self._ref, term)
        return term

    def _hold(self, lit: Lit, term: Any) -> Any:
        _z3.Z3_inc_ref(self._ref, term)
        self._terms[lit] = term
        return term

    def _constant(self, name: str) -> Any:
        symbol = _z3.Z3_mk_string_symbol(self._ref, name)
        term = _z3.Z3_mk_const(self._ref, symbol, _z3.Z3_mk_bool_sort(self._ref))
        _z3.Z3_inc_ref(self._ref, term)
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
                terms[node] = self._constant(f"n{node}")
        return self._signed(lit)

    def _signed(self, lit: Lit) -> Any:
        found = self._terms.get(lit)
        if found is None:
            found = self._hold(lit, _z3.Z3_mk_not(self._ref, self._terms[-lit]))
        return found
