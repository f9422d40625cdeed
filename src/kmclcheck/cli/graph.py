"""``kmclcheck graph``: the state graphs of machines, for drawing and for other tools."""

from __future__ import annotations

import os
from typing import Any

import click

from kmclcheck.cli.console import complain
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.specs import load_specs
from kmclcheck.cli.writing import text_output
from kmclcheck.model.spec import Spec

SUFFIXES = {"dot": ".dot", "mermaid": ".mmd", "graphml": ".graphml", "json": ".json", "svg": ".svg"}


@click.command("graph", short_help="Write or draw the state graphs of machines.")
@click.argument("machine")
@click.option(
    "--format", "format_", type=click.Choice(list(SUFFIXES)),
    help="By default what the suffix of the file says, or dot.",
)  # fmt: skip
@click.option(
    "-o", "--output", metavar="FILE",
    help="Write to FILE instead of standard output; to a file for each machine if it is a folder.",
)  # fmt: skip
@click.option("--loops", is_flag=True, help="Show events that let a value stay, too.")
@click.option(
    "--layout", type=click.Choice(["own", "dot"]), default="own", show_default=True,
    help="Who places the states of an SVG: dot is the program of Graphviz, which must be installed.",
)  # fmt: skip
@click.option("--spec", multiple=True, metavar="PATH", help="A specification instead of the bundled one.")
def command(
    machine: str, format_: str | None, output: str | None, loops: bool, layout: str, spec: tuple[str, ...]
) -> int:
    """Write the state graph of MACHINE, such as channel.life, or of all machines.

    Nodes are the values of the field; an edge is an event with its guard. Values at a birth and values in
    which the object has ended are marked. With svg it is a picture; all machines are one picture, or one
    each if the output is a folder (DIR/).
    """
    from kmclcheck.engines.explore.graphs import machine_name, state_graph, without_loops

    specification = load_specs(spec)
    machines = {machine_name(one): one for one in specification.machines.values()}
    if machine != "all" and machine not in machines:
        raise click.UsageError(f"unknown machine {machine!r}{did_you_mean(machine, [*machines, 'all'])}")
    names = list(machines) if machine == "all" else [machine]
    graphs = [state_graph(specification, machines[name]) for name in names]
    if not loops:
        graphs = [without_loops(graph) for graph in graphs]
    format_ = format_ or _by_suffix(output)
    if layout == "dot" and format_ != "svg":
        raise click.UsageError("--layout is for --format svg only")
    if output is not None and (output.endswith(("/", os.sep)) or os.path.isdir(output)):
        os.makedirs(output, exist_ok=True)
        for graph in graphs:
            with text_output(os.path.join(output, graph.name + SUFFIXES[format_])) as stream:
                stream.write(_text(specification, [graph], format_, layout))
    else:
        text = _text(specification, graphs, format_, layout)
        with text_output(output) as stream:
            stream.write(text)
    if output is not None:
        complain(f"{output}: {len(graphs)} graph{'s' if len(graphs) > 1 else ''}")
    return 0


def _by_suffix(output: str | None) -> str:
    suffix = os.path.splitext(output or "")[1]
    return next((name for name, one in SUFFIXES.items() if one == suffix), "dot")


def _text(spec: Spec, graphs: list[Any], format_: str, layout: str) -> str:
    from kmclcheck.diagrams.dot_layout import DotError, dot_layout
    from kmclcheck.diagrams.graph_text import WRITERS
    from kmclcheck.diagrams.names import short_names
    from kmclcheck.diagrams.states import state_diagram

    if format_ != "svg":
        return WRITERS[format_](graphs)
    try:
        return state_diagram(graphs, short_names(spec), layout=dot_layout if layout == "dot" else None)
    except DotError as error:
        raise click.UsageError(f"--layout dot: {error}") from error
