"""Finds the format of a trace by its content. A format is one module in ``formats``."""

from __future__ import annotations

import io
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from kmclcheck.diagnostics import InputError
from kmclcheck.model.event import TraceInfo
from kmclcheck.traces import formats
from kmclcheck.traces.base import (
    ByteSource,
    TraceFormat,
    TraceReader,
    binary_error,
    input_error,
    looks_binary,
    open_source,
)
from kmclcheck.traces.options import ReadOptions

# The format whose lines begin as ReadOptions.prefix says.
PREFIXED = "tracefmt"


@cache
def known_formats() -> dict[str, TraceFormat]:
    """Return every format by name, in the order of their names."""
    found: dict[str, TraceFormat] = {}
    for module in iter_modules(formats.__path__):
        if module.name.startswith("_"):
            continue
        candidate = getattr(import_module(f"{formats.__name__}.{module.name}"), "FORMAT", None)
        if isinstance(candidate, TraceFormat):
            found[candidate.name] = candidate
    return dict(sorted(found.items()))


def open_trace(
    path: str,
    format: str | None = None,
    options: ReadOptions = ReadOptions(),  # noqa: B008 - frozen, so it can be shared
) -> TraceReader:
    """Open a trace file, or standard input for ``-``; ``format`` overrides recognition.

    Raises InputError if the file cannot be opened, is empty, or is of no known format.
    """
    if format is not None and format not in known_formats():
        known = ", ".join(known_formats())
        raise input_error(f"unknown trace format {format!r}", path, f"the known formats are: {known}")
    return open_bytes(open_source(path), format, options)


def open_bytes(source: ByteSource, format: str | None, options: ReadOptions) -> TraceReader:
    """Open a trace whose bytes come from a source, which is closed if that fails.

    Raises InputError as ``open_trace`` does, and for a trace that cannot be followed if the options
    say that it is still being written.
    """
    path = source.path
    try:
        if not source.head:
            raise input_error("the file is empty", path, "check that the capture wrote anything")
        chosen = _choose(source, options) if format is None else known_formats()[format]
        if options.live and not chosen.follows:
            followed = ", ".join(f.name for f in known_formats().values() if f.follows)
            message = f"a trace of the format {chosen.name} cannot be followed while it is being written"
            help = f"check it when the capture is over; formats that can be followed: {followed}"
            raise input_error(message, path, help)
        return chosen.open(source, options)
    except BaseException:
        source.close()
        raise


def read_text(text: str, path: str = "<text>", defaults: TraceInfo | None = None) -> TraceReader:
    """Read a native trace in memory.

    With ``defaults`` the header may be left out, even its first line; ``defaults`` itself is not
    changed. Raises InputError.
    """
    from kmclcheck.traces.formats.kmtrace import KmtraceReader

    source = ByteSource(io.BytesIO(text.encode("utf-8", "replace")), path)
    return KmtraceReader(source, defaults=defaults, whole_last_line=True)


def _choose(source: ByteSource, options: ReadOptions) -> TraceFormat:
    matching = [candidate for candidate in known_formats().values() if candidate.sniff(source.head)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = ", ".join(candidate.name for candidate in matching)
        raise input_error(
            f"may be of several trace formats: {names}", source.path, "name one with --trace-format"
        )
    # Lines with a prefix of one's own look like any text; who gives the prefix says what they are.
    if options.prefix and not looks_binary(source.head):
        return known_formats()[PREFIXED]
    # The right suffix lets the format itself say what is wrong with the content.
    suffixed = [f for f in known_formats().values() if source.path.lower().endswith(f.suffixes)]
    if len(suffixed) == 1 and not looks_binary(source.head):
        return suffixed[0]
    raise _unknown(source)


def _unknown(source: ByteSource) -> InputError:
    known = "; ".join(f"{f.name} ({f.title})" for f in known_formats().values())
    help = (
        f"known formats: {known}; --trace-format NAME takes a file as that format, "
        "--trace-prefix says how the lines of a text from tracefmt begin"
    )
    if looks_binary(source.head):
        return binary_error(source, help)
    found = source.head.split(b"\n", 1)[0][:60].decode("utf-8", "replace").strip()
    return input_error(f"is of no known trace format; it begins with {found!r}", source.path, help)
