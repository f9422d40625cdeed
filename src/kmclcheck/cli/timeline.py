"""Timelines: what ``kmclcheck convert`` writes that is no trace any more."""

from __future__ import annotations

from kmclcheck import __version__
from kmclcheck.cli.console import drop_stdout, is_closed_pipe
from kmclcheck.cli.specs import load_specs
from kmclcheck.cli.writing import binary_output
from kmclcheck.traces import TraceReader

NAME = "perfetto"
SUFFIX = ".perfetto.json"


def write_timeline(reader: TraceReader, target: str, specs: tuple[str, ...]) -> int:
    """Check a trace by the core rules and write its timeline; return how many events it has.

    Raises InputError if a specification is wrong, or the trace cannot be read on.
    """
    # Converting into another trace needs neither the monitor nor a specification.
    from kmclcheck.engines.monitor import Options
    from kmclcheck.engines.states import States
    from kmclcheck.model.spec import Profile
    from kmclcheck.report import ToolInfo
    from kmclcheck.report.timeline import write_timeline as write

    spec = load_specs(specs)
    rules = frozenset(r.id for r in spec.rules.values() if r.profile is Profile.CORE)
    states = States(spec, Options(rules=rules), reader)
    try:
        with binary_output(target) as stream:
            write(stream, states, reader.info, ToolInfo("kmclcheck", __version__, spec.name, spec.title))
            stream.flush()
    except OSError as error:
        if target != "-" or not is_closed_pipe(error):
            raise
        drop_stdout()
    return states.count
