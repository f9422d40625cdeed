"""The parts of the graph engine: answers to conditions, steps in a state graph, what is reached unseen."""

from __future__ import annotations

from itertools import product

import pytest

from kmclcheck.engines.explore.walk.answers import (
    EITHER,
    LACKING,
    NO,
    YES,
    Answer,
    Nodes,
    all_of,
    any_of,
    at,
    opposite,
    perhaps_also,
)
from kmclcheck.engines.explore.walk.graphs import Fields, Reach, StateGraph, follow, unseen
from kmclcheck.model.event import Phase
from kmclcheck.model.expr import Compare as Comparison
from kmclcheck.model.expr import CompareOp, Expr, Irql, Number, Truth
from kmclcheck.model.spec import EventKind, Machine, Transition

ALWAYS = Truth(True)
PERHAPS = Comparison(CompareOp.LT, Irql(), Number(2))
GO: EventKind = ("Go", Phase.CALL)
STOP: EventKind = ("Stop", Phase.CALL)


def _ask(expr: Expr) -> Answer:
    return {ALWAYS: YES, PERHAPS: LACKING}[expr]


def _line(
    sources: str, targets: str, event: EventKind = GO, guard: Expr = ALWAYS, shows: bool = False
) -> Transition:
    return Transition(frozenset(sources), frozenset(targets), event, guard, observe=shows)


def _graph(*lines: Transition, name: str = "f") -> StateGraph:
    return StateGraph(Machine("thing", name, lines), "ABCD")


def _step(graph: StateGraph, now: Nodes) -> tuple[Nodes, bool]:
    return follow(now, graph.by_event[GO, Reach.NAMED], _ask)


def nodes(values: str, lacking: bool = False) -> Nodes:
    return Nodes(frozenset(values), lacking)


class TestAnswers:
    def test_what_missing_data_decides_is_open_unless_something_else_decides_it(self) -> None:
        assert all_of([YES, LACKING]) == LACKING
        assert all_of([LACKING, NO]) == NO
        assert any_of([NO, LACKING]) == LACKING
        assert any_of([LACKING, YES]) == YES

    def test_what_the_documents_leave_open_is_kept_unless_data_is_missing_as_well(self) -> None:
        """Whatever the missing data is, "or" cannot become false; "and" can."""
        assert any_of([EITHER, LACKING]) == EITHER
        assert all_of([EITHER, LACKING]) == LACKING

    def test_no_part_makes_all_true_and_any_false(self) -> None:
        assert (all_of([]), any_of([])) == (YES, NO)

    @pytest.mark.parametrize("level", [LACKING, EITHER])
    def test_de_morgan_holds_for_one_reason_at_a_time(self, level: Answer) -> None:
        for one, other in product([NO, level, YES], repeat=2):
            assert opposite(all_of([one, other])) == any_of([opposite(one), opposite(other)])

    def test_a_negation_of_something_open_is_open_for_the_same_reason(self) -> None:
        assert [opposite(answer) for answer in (NO, LACKING, EITHER, YES)] == [YES, LACKING, EITHER, NO]

    def test_nodes(self) -> None:
        wanted = frozenset("AB")
        assert nodes("A").within(wanted) == YES
        assert nodes("CD").within(wanted) == NO
        assert nodes("AC").within(wanted) == EITHER
        assert nodes("AC", lacking=True).within(wanted) == LACKING

    def test_more_nodes_for_want_of_data(self) -> None:
        assert perhaps_also(nodes("AB"), frozenset("A")) == nodes("AB")
        assert perhaps_also(at("A"), frozenset("B")) == nodes("AB", lacking=True)


class TestFollow:
    def test_every_edge_of_the_event_is_followed(self) -> None:
        """The documents leave open where it goes, so no data is lacking."""
        assert _step(_graph(_line("A", "BC")), at("A")) == (nodes("BC"), True)

    def test_a_guard_that_is_not_decided_lets_it_move_and_stay(self) -> None:
        assert _step(_graph(_line("A", "B", guard=PERHAPS)), at("A")) == (nodes("AB", lacking=True), False)

    def test_a_node_without_an_edge_is_excluded(self) -> None:
        assert _step(_graph(_line("A", "B")), nodes("AC", lacking=True)) == (at("B"), True)

    def test_where_it_cannot_have_been_it_is_where_the_event_leads(self) -> None:
        assert _step(_graph(_line("A", "B")), at("C")) == (at("B"), True)

    def test_an_edge_that_lets_it_stay_does_not_determine_it(self) -> None:
        assert _step(_graph(_line("AB", "")), nodes("AB", lacking=True)) == (nodes("AB", lacking=True), False)

    def test_what_an_event_shows_narrows_only_what_data_is_missing_of(self) -> None:
        graph = _graph(_line("AB", "", shows=True))
        assert _step(graph, nodes("ACD", lacking=True)) == (at("A"), False)
        assert _step(graph, nodes("ACD")) == (nodes("ACD"), False)
        assert _step(graph, nodes("CD", lacking=True)) == (nodes("CD", lacking=True), False)


class TestUnseen:
    def _after(self, graphs: list[StateGraph], now: Fields, *events: EventKind) -> Fields:
        return unseen({g.name: g for g in graphs}, now, events, lambda expr, fields: _ask(expr))

    def test_any_number_of_events_may_have_happened(self) -> None:
        graph = _graph(_line("A", "B"), _line("B", "C", STOP), _line("C", "D", ("Other", Phase.CALL)))
        assert self._after([graph], {"f": at("A")}, GO, STOP) == {"f": nodes("ABC", lacking=True)}

    def test_nothing_changes_if_no_event_goes_unseen(self) -> None:
        assert self._after([_graph(_line("A", "B"))], {"f": at("A")}) == {"f": at("A")}

    def test_an_event_moves_in_all_graphs_or_in_none(self) -> None:
        """Go is possible only in A of the one graph and in A of the other."""
        graphs = [_graph(_line("A", "B")), _graph(_line("A", "B"), name="g")]
        assert self._after(graphs, {"f": at("A"), "g": at("C")}, GO) == {"f": at("A"), "g": at("C")}
        moved = nodes("AB", lacking=True)
        assert self._after(graphs, {"f": at("A"), "g": at("A")}, GO) == {"f": moved, "g": moved}

    def test_one_unseen_event_makes_another_possible(self) -> None:
        """Stop leads to where Go is possible."""
        graphs = [_graph(_line("A", "B")), _graph(_line("A", "C"), _line("D", "A", STOP), name="g")]
        after = self._after(graphs, {"f": at("A"), "g": at("D")}, GO, STOP)
        assert after == {"f": nodes("AB", lacking=True), "g": nodes("ACD", lacking=True)}
