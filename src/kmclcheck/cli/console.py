"""Streams and colour."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from enum import Enum
from typing import TextIO

from kmclcheck.report.escape import encodable, safe


class ColourMode(Enum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def wants_colour(mode: ColourMode, stream: TextIO) -> bool:
    """Say whether to colour what goes to the stream.

    A flag wins over the environment; there NO_COLOR wins over FORCE_COLOR.
    """
    if mode is not ColourMode.AUTO:
        return mode is ColourMode.ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def is_terminal(stream: TextIO) -> bool:
    """Say whether a person looks at the stream. A closed or replaced stream is none."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def complain(text: str) -> None:
    """Write a message to stderr, escaped line by line; a broken stderr is not an error."""
    stream: TextIO | None = sys.stderr
    if stream is None:  # pythonw has none
        return
    shown = "\n".join(safe(line) for line in text.split("\n"))
    with suppress(OSError, ValueError):
        stream.write(encodable(shown, getattr(stream, "encoding", None) or "utf-8") + "\n")
        stream.flush()


def say(text: str) -> None:
    """Write lines of a result to stdout, escaped line by line."""
    stream = sys.stdout
    shown = "\n".join(safe(line) for line in text.split("\n"))
    stream.write(encodable(shown, getattr(stream, "encoding", None) or "utf-8") + "\n")


def is_closed_pipe(error: BaseException) -> bool:
    """Say whether the reader of stdout went away; Windows calls that an invalid argument."""
    if isinstance(error, BrokenPipeError):
        return True
    if os.name != "nt" or not isinstance(error, OSError):
        return False
    return error.errno == errno.EINVAL and error.filename is None


def drop_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not complain at exit."""
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
