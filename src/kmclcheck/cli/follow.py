"""``kmclcheck check --follow``: report findings while the trace is being written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import click

from kmclcheck import __version__
from kmclcheck.cli.console import complain, drop_stdout, is_closed_pipe
from kmclcheck.cli.progress import Progress
from kmclcheck.cli.reading import Reading
from kmclcheck.diagnostics import InputError
from kmclcheck.engines.monitor import Options
from kmclcheck.engines.watching import Watch
from kmclcheck.model.finding import Finding, TraceResult
from kmclcheck.model.spec import Spec
from kmclcheck.report import InputFailure, ReportOptions, RunResult, ToolInfo
from kmclcheck.report.describe import plural
from kmclcheck.report.registry import get_live_renderer, live_format_names
from kmclcheck.traces.follow import FollowedSource, Stop


def refuse(paths: tuple[str, ...], format: str, unfit: dict[str, bool]) -> None:
    """Raise UsageError for what cannot be asked of a trace that is still being written.

    ``unfit`` names options that need the whole run, and whether each was given.
    """
    if len(paths) != 1:
        raise click.UsageError("--follow watches one trace; name one file, or - for standard input")
    if format not in live_format_names():
        known = ", ".join(live_format_names())
        raise click.UsageError(f"the format {format} needs the whole run; with --follow use one of: {known}")
    for name, given in unfit.items():
        if given:
            raise click.UsageError(f"{name} needs the whole run, so it does not go with --follow")


class _Status(Progress):
    """The line on a terminal that tells that somebody is watching."""

    def _text(self, events: int, bytes_read: int, findings: int, seconds: float) -> str:
        return f"watching, {plural(events, 'event')}, {plural(findings, 'finding')}"


class Follower:
    """Watches one trace and writes what it finds to standard output, each finding at once."""

    def __init__(self, spec: Spec, options: Options, format: str, shown: ReportOptions) -> None:
        self._spec = spec
        self._options = options
        self._renderer = get_live_renderer(format)
        self._shown = shown
        self._tool = ToolInfo("kmclcheck", __version__, spec.name, spec.title)
        self._status = _Status(enabled=not shown.quiet)
        self._number = 0

    def follow(self, path: str, how: Reading, idle: float | None) -> RunResult:
        """Watch until the trace, its pipe or the patience ends; return what everything came to."""
        self._status.begin(path)
        watch: Watch | None = None
        source: FollowedSource | None = None

        def waiting() -> None:
            if watch is not None and source is not None:
                self._status(watch.events, source.bytes_read, watch.findings)

        traces: list[TraceResult] = []
        failures: list[InputFailure] = []
        try:
            source = FollowedSource(path, idle, waiting)
            reader = how.follow(source)

            def over() -> bool:
                return how.end is not None or reader.ended or source.stopped is Stop.PIPE

            watch = Watch(self._spec, self._options, reader, self._teller(path, source), over)
            traces.append(watch.run(self._status))
        except InputError as error:
            if source is None or source.stopped is not Stop.INTERRUPT:
                failures.append(InputFailure(path, str(error)))
        finally:
            self._status.clear()
        stopped = None if source is None else source.stopped
        if stopped in (Stop.SHORTER, Stop.REPLACED):
            help = "  = help: watch it anew; what is in it now is another trace"
            failures.append(
                InputFailure(path, f"error: {path}: {stopped.value} while it was watched\n{help}")
            )
        if traces and watch is not None and source is not None:
            self._remarks(path, watch, source)
        if stopped in (Stop.INTERRUPT, Stop.UNREAD):
            traces = [replace(trace, complete=False) for trace in traces]
            interrupted = True
        else:
            interrupted = any(not trace.complete for trace in traces)
        run = RunResult(traces, self._tool, self._shown, tuple(failures), interrupted)
        self._close(run)
        return run

    def _teller(self, path: str, source: FollowedSource) -> Callable[[Finding, int], None]:
        def tell(finding: Finding, events: int) -> None:
            if source.stopped is Stop.UNREAD:
                return
            self._number += 1
            self._status.clear()
            # What the trace has come to so far; the rest of it is not known yet.
            far = TraceResult(path, "", "", "", events, None, {}, [], [finding])
            run = RunResult([far], self._tool, self._shown)
            try:
                self._renderer.tell(run, finding, self._number, self._spec, sys.stdout)
                sys.stdout.flush()
            except OSError as error:
                if not is_closed_pipe(error):
                    raise
                # Nobody reads on, so there is nothing to watch for.
                drop_stdout()
                source.stopped = Stop.UNREAD

        return tell

    @staticmethod
    def _remarks(path: str, watch: Watch, source: FollowedSource) -> None:
        if source.stopped is Stop.IDLE:
            complain(f"{path}: {Stop.IDLE.value}; the watching is over")
        if source.unfinished:
            complain(f"{path}: the last line was not complete; {plural(source.unfinished, 'byte')} left out")
        if watch.taken_back:
            complain(
                f"warning: {path}: {plural(watch.taken_back, 'finding')} above may be due to events that the "
                "trace, at its end, says are missing; not counted"
            )

    def _close(self, run: RunResult) -> None:
        for failure in run.failures:
            complain(failure.message)
        if run.interrupted:
            complain("interrupted: this is what was found so far")
        if not run.traces:
            return
        try:
            self._renderer.close(run, self._spec, sys.stdout)
            sys.stdout.flush()
        except OSError as error:
            if not is_closed_pipe(error):
                raise
            drop_stdout()
