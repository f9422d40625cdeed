"""``kmclcheck graph``: the state graphs of machines, for drawing and for other tools."""

from __future__ import annotations

import click

from kmclcheck.cli.console import complain
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.specs import load_specs
from kmclcheck.cli.writing import text_output

FORMATS = ("dot", "mermaid", "graphml", "json")


@click.command("graph", short_help="Write the state graphs of machines.")
@click.argument("machine")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="dot", show_default=True)
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output.")
@click.option("--loops", is_flag=True, help="Show events that let a value stay, too.")
@click.option("--spec", multiple=True, metavar="PATH", help="A specification instead of the bundled one.")
def command(machine: str, format_: str, output: str | None, loops: bool, spec: tuple[str, ...]) -> int:
    """Write the state graph of MACHINE, such as channel.life, or of all machines.

    Nodes are the values of the field; an edge is an event with its guard. Values at a birth and values in
    which the object has ended are marked.
    """
    from kmclcheck.diagrams.graph_text import WRITERS
    from kmclcheck.engines.explore.graphs import machine_name, state_graph, without_loops

    specification = load_specs(spec)
    machines = {machine_name(one): one for one in specification.machines.values()}
    if machine != "all" and machine not in machines:
        raise click.UsageError(f"unknown machine {machine!r}{did_you_mean(machine, [*machines, 'all'])}")
    names = list(machines) if machine == "all" else [machine]
    graphs = [state_graph(specification, machines[name]) for name in names]
    if not loops:
        graphs = [without_loops(graph) for graph in graphs]
    text = WRITERS[format_](graphs)
    with text_output(output) as stream:
        stream.write(text)
    if output is not None:
        complain(f"{output}: {len(graphs)} graph{'s' if len(graphs) > 1 else ''}")
    return 0
