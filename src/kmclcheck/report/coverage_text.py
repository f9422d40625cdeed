"""Coverage for people: a table of the machines, on request the count of everything, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kmclcheck.engines.coverage import Count, Coverage, Edge, Share
from kmclcheck.engines.coverage.missing import Gaps, Missing, Proof, Step
from kmclcheck.report.coverage_document import floor_percent
from kmclcheck.report.describe import plural, record_words


def coverage_text(
    coverage: Coverage, machines: Sequence[str], details: bool = False, gaps: Gaps | None = None
) -> str:
    """Return the whole text. ``details``: with the count of everything."""
    lines = [*_table(coverage, machines), ""]
    if details:
        lines += _details(coverage, machines)
    if gaps is not None:
        lines += _missing(gaps)
    lines += _summary(coverage)
    return "\n".join(lines) + "\n"


def _table(coverage: Coverage, machines: Sequence[str]) -> Iterator[str]:
    rows = [(name, [name]) for name in machines]
    if len(rows) > 1:
        rows.append(("all machines", list(machines)))
    width = max([len("machine"), *(len(name) for name, _ in rows)])
    yield f"{'machine':{width}}  {'states':>10}  {'transitions':>11}  {'':>6}  {'stays':>10}  {'perhaps':>7}"
    for name, which in rows:
        states, edges, stays = (
            share(which) for share in (coverage.state_share, coverage.edge_share, coverage.stay_share)
        )
        perhaps = states.perhaps + edges.perhaps + stays.perhaps
        yield (
            f"{name:{width}}  {_of(states):>10}  {_of(edges):>11}  {floor_percent(edges):>5}%"
            f"  {_of(stays) if stays.total else '':>10}  {perhaps or '':>7}"
        ).rstrip()


def _of(share: Share) -> str:
    return f"{share.covered} of {share.total}"


def _summary(coverage: Coverage) -> Iterator[str]:
    rules = coverage.rule_share()
    perhaps = f" ({rules.perhaps} more were open)" if rules.perhaps else ""
    yield f"{_of(rules)} rules exercised{perhaps}; {_of(coverage.event_share())} functions and callbacks met"
    yield f"{plural(coverage.traces, 'trace')}, {plural(coverage.records, 'record')}"


def _details(coverage: Coverage, machines: Sequence[str]) -> Iterator[str]:
    for name in machines:
        yield name
        rows = [(state.value, count) for state, count in coverage.states_of(name)]
        rows += [(edge_text(edge), count) for edge, count in coverage.edges_of(name)]
        for text, count in rows:
            yield f"  {_times(count):>22}  {text}"
        yield ""
    yield "rules"
    for id, rule in coverage.rules.items():
        told = f"decided {rule.decided:,}" if rule.exercised else "never"
        if rule.open:
            told += f", open {rule.open:,}"
        if rule.failed:
            told += f", broken in {plural(rule.failed, 'trace')}"
        yield f"  {id}: {told}"
    yield ""
    yield "functions and callbacks"
    for event, met in coverage.events.items():
        yield f"  {event}: " + (
            f"{met.entries:,} in, {met.exits:,} out" if met.entries or met.exits else "never"
        )
    yield ""


def _times(count: Count) -> str:
    if count.certain:
        return f"{count.certain:,}"
    return f"perhaps {count.perhaps:,}" if count.perhaps else "never"


def edge_text(edge: Edge) -> str:
    """Return a transition in words."""
    targets = " or ".join(edge.targets) if edge.targets != (edge.source,) else "same"
    return f"{edge.source} -> {targets} on {_event(edge)}"


def _event(edge: Edge) -> str:
    through = {"parent": " of the parent", "any": " of any"}.get(edge.through, "")
    return f"{edge.event}{through}" + (f" when {edge.guard}" if edge.guard else "")


def _missing(gaps: Gaps) -> Iterator[str]:
    if not (gaps.machines or gaps.rules or gaps.events):
        yield "nothing is missing"
        yield ""
        return
    machine = ""
    for one in gaps.machines:
        if one.what.machine != machine:
            machine = one.what.machine
            yield f"never exercised of {machine}; objects begin as {one.start}"
        what = edge_text(one.what) if isinstance(one.what, Edge) else one.what.value
        yield f"  {what}" + (" (perhaps it was)" if one.perhaps else "")
        yield from _way(one)
        if one.proof is not None:
            yield from _proof(one.proof)
    if gaps.machines:
        yield ""
    for title, names in (
        ("rules never decided", [rule.id for rule in gaps.rules]),
        ("functions and callbacks never met", [decl.name for decl in gaps.events]),
    ):
        if names:
            yield title
            yield from (f"  {name}" for name in names)
            yield ""


def _way(missing: Missing) -> Iterator[str]:
    if missing.way is None:
        yield "      no events lead there from where objects begin"
        return
    for step in missing.way:
        yield f"      {_event(step.edge)}  ({_move(step)})"


def _proof(proof: Proof) -> Iterator[str]:
    if proof.reached is None:
        yield "      the solver found no answer in time"
    elif not proof.reached:
        yield "      no records that keep all rules lead there (proved)"
    else:
        several = "" if proof.certain else ", as one of several values that the documents leave open"
        yield f"      reached by {plural(len(proof.records), 'record')} that keep all rules{several}:"
        yield from (f"        {record_words(record)}" for record in proof.records)


def _move(step: Step) -> str:
    source = step.edge.source
    return f"{source} stays" if step.target == source else f"{source} -> {step.target}"
