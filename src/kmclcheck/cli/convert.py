"""``kmclcheck convert``: write a trace in another format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from kmclcheck.cli.config import ConfiguredCommand
from kmclcheck.cli.console import complain, drop_stdout, is_closed_pipe
from kmclcheck.cli.exitcodes import ExitCode
from kmclcheck.cli.reading import reading, reading_options
from kmclcheck.cli.timeline import NAME as TIMELINE
from kmclcheck.cli.timeline import SUFFIX, write_timeline
from kmclcheck.cli.writing import binary_output
from kmclcheck.model.event import Event
from kmclcheck.traces import TraceReader, known_formats
from kmclcheck.traces.base import Item, TraceFormat, input_error


def _written() -> list[str]:
    return [name for name, one in known_formats().items() if one.writes]


@click.command(
    "convert",
    cls=ConfiguredCommand,
    short_help="Write a trace in another format.",
    epilog="Exit codes: 0 written, 2 the input could not be read or the output not be written.",
)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@click.option(
    "--to",
    type=click.Choice([*_written(), TIMELINE], case_sensitive=False),
    help="Format of the output; by default that of the suffix of OUT. perfetto is a timeline to look at "
    f"(suffix {SUFFIX}): it is only written, and cannot be read again.",
)
@click.option(
    "--spec",
    multiple=True,
    metavar="PATH",
    envvar="KMCLCHECK_SPEC",
    help="For a timeline: a specification to use instead of the bundled one. May be repeated.",
)
@reading_options
@click.pass_context
def command(
    ctx: click.Context, /, source: str, target: str, to: str | None, spec: tuple[str, ...], **how: Any
) -> int:
    """Read the trace IN, of any format, and write it to OUT; - is standard input or output.

    What the output cannot hold is an error. Events that could not be read become losses in the output.
    """
    as_timeline = to == TIMELINE or (to is None and target.lower().endswith(SUFFIX))
    format = None if as_timeline else format_of(target, to)
    reader = reading(ctx.obj, **how).open(source)
    if format is None:
        count = write_timeline(reader, target, spec)
    else:
        count = _convert(reader, source, target, format)
    for problem in reader.problems:
        complain(problem.render())
    if reader.unmapped:
        unmapped = sum(reader.unmapped.values())
        complain(f"warning: {source}: no rule of a mapping fits {unmapped} events; check names them")
    if target != "-":
        complain(f"{target}: {count} events")
    return ExitCode.OK


def _convert(reader: TraceReader, source: str, target: str, format: TraceFormat) -> int:
    """Write a trace as another one; return how many events it has."""
    items = _Counted(reader)
    try:
        with binary_output(target) as stream:
            format.write(stream, items, reader.info)
            stream.flush()
    except ValueError as error:
        where = f", line {items.last.line}" if items.last is not None and items.last.line else ""
        raise input_error(f"cannot be written as {format.name}: {error}{where}", source) from None
    except OSError as error:
        if target != "-" or not is_closed_pipe(error):
            raise
        drop_stdout()
    return items.count


class _Counted:
    """The items of a trace; ``last`` is the one that was given last."""

    def __init__(self, reader: TraceReader) -> None:
        self._reader = reader
        self.count = 0
        self.last: Event | None = None

    def __iter__(self) -> Iterator[Item]:
        for item in self._reader:
            if isinstance(item, Event):
                self.count += 1
                self.last = item
            yield item


def format_of(target: str, name: str | None) -> TraceFormat:
    """Return the format to write, by its name or else by the suffix of the file."""
    formats = known_formats()
    if name is not None:
        return formats[name]
    lowered = target.lower()
    fitting = [one for one in formats.values() if one.writes and lowered.endswith(one.suffixes)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join([*_written(), TIMELINE])
    if fitting:
        names = ", ".join(one.name for one in fitting)
    raise click.UsageError(f"the suffix of {target} does not tell the format; name one with --to: {names}")
