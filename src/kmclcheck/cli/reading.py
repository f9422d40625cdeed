"""What every command that reads traces can be told about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from kmclcheck.cli.config import Config
from kmclcheck.cli.mapping import all_mappings, load_mapping
from kmclcheck.model.event import End, Start
from kmclcheck.traces import ReadOptions, TraceReader, known_formats, open_trace
from kmclcheck.traces.base import ByteSource, Item
from kmclcheck.traces.etw.templates import Template, TemplateError
from kmclcheck.traces.records import declare, split_words
from kmclcheck.traces.registry import open_bytes

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Reading:
    """How traces are read, and what holds of every one of them, against its header."""

    format: str | None
    options: ReadOptions
    start: Start | None
    end: End | None
    records: tuple[str, ...]

    def open(self, path: str) -> TraceReader:
        """Open a trace. Raises InputError."""
        return self._told(open_trace(path, self.format, self.options))

    def follow(self, source: ByteSource) -> TraceReader:
        """Open a trace that is still being written. Raises InputError."""
        return self._told(open_bytes(source, self.format, replace(self.options, live=True)))

    def _told(self, reader: TraceReader) -> TraceReader:
        return _Overridden(reader, self) if self.start or self.end or self.records else reader


class _Overridden(TraceReader):
    """A reader whose trace starts, ends and records what the user says, whatever its header says."""

    def __init__(self, inner: TraceReader, reading: Reading) -> None:
        super().__init__(inner.info)
        self._inner = inner
        self._end = reading.end
        self.problems = inner.problems
        self.unmapped = inner.unmapped
        if reading.start is not None:
            self.info.start, self.info.start_of = reading.start, None
        if reading.end is not None:
            self.info.end = reading.end
        declare(self.info, reading.records)

    @property
    def bytes_read(self) -> int:
        return self._inner.bytes_read

    def __iter__(self) -> Iterator[Item]:
        try:
            for item in self._inner:
                self.problem_count = self._inner.problem_count
                yield item
        finally:
            self.ended = self._inner.ended
            self.problem_count = self._inner.problem_count
            # A format may learn the end only from the last record.
            if self._end is not None:
                self.info.end = self._end


def _words(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    try:
        return tuple(split_words(value))
    except ValueError as error:
        help = (
            "all, functions, callbacks, a name, each perhaps with .call, .ret, .in or .out, and - before it"
        )
        raise click.BadParameter(f"unknown word {str(error)!r}; words are {help}", ctx, param) from None


def _prefix(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        Template(value)
    except TemplateError as error:
        raise click.BadParameter(f"{error} (column {error.column})", ctx, param) from None
    return value


_OPTIONS = (
    click.option(
        "--trace-format",
        type=click.Choice(list(known_formats()), case_sensitive=False),
        envvar="KMCLCHECK_TRACE_FORMAT",
        help="Format of the traces; by default it is recognised.",
    ),
    click.option(
        "--map",
        "maps",
        multiple=True,
        metavar="FILE",
        envvar="KMCLCHECK_MAP",
        type=click.Path(dir_okay=False),
        help="How the events of a driver of your own become calls: rules in TOML, before those of the "
        "settings file. May be repeated.",
    ),
    click.option(
        "--trace-prefix",
        metavar="PATTERN",
        default="",
        callback=_prefix,
        envvar="KMCLCHECK_TRACE_PREFIX",
        help="What lines of a formatted trace begin with, if TRACE_FORMAT_PREFIX was set, such as "
        "'[{cpu}]{pid:hex}.{tid:hex}::{time:text} [{component}]'.",
    ),
    click.option(
        "--start",
        type=click.Choice([s.value for s in Start], case_sensitive=False),
        envvar="KMCLCHECK_START",
        help="Whether the traces begin before the driver touched the library.",
    ),
    click.option(
        "--end",
        type=click.Choice([e.value for e in End], case_sensitive=False),
        envvar="KMCLCHECK_END",
        help="Why the traces end.",
    ),
    click.option(
        "--records",
        metavar="WORDS",
        default="",
        callback=_words,
        envvar="KMCLCHECK_RECORDS",
        help="What the traces record, besides what their headers say: the words of %records, such as "
        "'all' or 'functions EvtVmbChannelOpened.in'.",
    ),
)


def reading_options(command: Command) -> Command:
    """Add the options of ``Reading`` to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def reading(
    config: object,
    trace_format: str | None,
    maps: tuple[str, ...],
    trace_prefix: str,
    start: str | None,
    end: str | None,
    records: tuple[str, ...],
) -> Reading:
    """Return what the options, by their names, and the settings file say. Raises InputError."""
    mappings = [load_mapping(Path(path)) for path in maps]
    if isinstance(config, Config) and config.mapping is not None:
        mappings.append(config.mapping)
    options = ReadOptions(all_mappings(mappings), trace_prefix)
    return Reading(trace_format, options, Start(start) if start else None, End(end) if end else None, records)
