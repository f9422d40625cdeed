"""What every trace format offers: a reader of events, and a way to recognise itself."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from io import FileIO
from typing import BinaryIO

from kmclcheck.diagnostics import Diagnostic, InputError, Level, Span
from kmclcheck.model.event import Event, Loss, TraceInfo
from kmclcheck.traces.options import ReadOptions

HEAD_SIZE = 4096
MAX_PROBLEMS = 100
MAX_SOURCE_LINE = 120

Item = Event | Loss


def input_error(message: str, path: str, help: str | None = None, line: int | None = None) -> InputError:
    """Return an InputError of one diagnostic about a file, or about a line of it."""
    span = None if line is None else Span(path, line)
    text = message if span is not None else f"{path}: {message}"
    return InputError([Diagnostic(Level.ERROR, text, span, help=help)])


def shown_line(text: str, column: int) -> str | None:
    """Return the line as a diagnostic may show it: printable, at most 120 characters.

    ``None`` if the column would lie outside, since the caret has to stand below its place.
    """
    if column > MAX_SOURCE_LINE:
        return None
    short = text if len(text) <= MAX_SOURCE_LINE else text[: MAX_SOURCE_LINE - 3] + "..."
    return "".join(c if c.isprintable() or c == "\t" else "?" for c in short)


class ByteSource:
    """The bytes of a trace: a file, standard input or memory, with a first piece to look at.

    ``head`` holds up to HEAD_SIZE bytes, which ``read`` gives again.
    """

    def __init__(self, stream: BinaryIO, path: str, owned: bool = True) -> None:
        self.path = path
        self._owned = owned
        self.bytes_read = 0
        self._stream = stream
        head = b""
        while len(head) < HEAD_SIZE and (piece := self._raw(HEAD_SIZE - len(head))):
            head += piece
        self.head = head
        self._unread = head

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes, as soon as there are any; ``b""`` at the end."""
        if self._unread:
            piece, self._unread = self._unread[:size], self._unread[size:]
        else:
            piece = self._raw(size)
        self.bytes_read += len(piece)
        return piece

    def seekable(self) -> tuple[BinaryIO, int] | None:
        """Return the stream and the place in it where the trace begins, or ``None`` for a pipe.

        A format that reads at places of its own uses this instead of ``read``.
        """
        if self._unread != self.head or not self._stream.seekable():
            return None
        return self._stream, self._stream.tell() - len(self.head)

    def close(self) -> None:
        """Close the file; standard input stays open, for it is not ours."""
        if self._owned:
            self._stream.close()

    def _raw(self, size: int) -> bytes:
        try:
            # A buffered pipe would wait for the full size; read1 gives what is there.
            read = getattr(self._stream, "read1", None) or self._stream.read
            piece: bytes | None = read(size)
        except OSError as error:
            raise input_error(f"cannot be read: {error.strerror or error}", self.path) from None
        return piece or b""


def open_source(path: str) -> ByteSource:
    """Open a file, or standard input for ``-``. Raises InputError."""
    if path == "-":
        return ByteSource(sys.stdin.buffer, "-", owned=False)
    return ByteSource(open_stream(path), path)


def open_stream(path: str) -> FileIO:
    """Open a file, without a buffer. Raises InputError."""
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        raise input_error("no such file", path, "check the path; - reads standard input") from None
    except IsADirectoryError:
        raise input_error("is a folder, not a trace file", path) from None
    except (OSError, ValueError) as error:
        if os.path.isdir(path):
            raise input_error("is a folder, not a trace file", path) from None
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise input_error(f"cannot be opened: {reason}", path) from None


def looks_binary(head: bytes) -> bool:
    """Say whether bytes are no UTF-8 or ASCII text: UTF-16, or anything with zero bytes."""
    return head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head


def binary_error(source: ByteSource, help: str) -> InputError:
    """Return what to say about a file that is not text; UTF-16 gets its own way out."""
    if source.head.startswith((b"\xff\xfe", b"\xfe\xff")):
        help = "save it as UTF-8; PowerShell: Get-Content IN | Set-Content -Encoding utf8 OUT"
        return input_error("is UTF-16 text; a text trace has to be UTF-8", source.path, help)
    return input_error("is a binary file of no known trace format", source.path, help)


class TraceReader(ABC):
    """A trace being read. Iterating gives events and losses in order, once.

    ``info`` is complete before the first event, except for ``end`` and ``lost_anywhere``, which
    are final when the stream is exhausted. ``problems`` keeps the first MAX_PROBLEMS messages
    about records that could not be read; ``problem_count`` counts all of them.
    """

    def __init__(self, info: TraceInfo) -> None:
        self.info = info
        self.problems: list[Diagnostic] = []
        self.problem_count = 0
        # Records that no rule of the mapping fits, by name; formats without a mapping have none.
        self.unmapped: Counter[str] = Counter()
        # Whether a trace that is followed has told its own end.
        self.ended = False

    def report(self, problem: Diagnostic) -> None:
        """Count a problem, and keep it if there is room."""
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    @property
    @abstractmethod
    def bytes_read(self) -> int:
        """Bytes taken from the input so far."""

    @abstractmethod
    def __iter__(self) -> Iterator[Item]:
        """Give the events and losses. Raises InputError if the input itself fails."""


class TraceFormat(ABC):
    """A trace format. Its module registers it by naming an instance ``FORMAT``."""

    name: str
    suffixes: tuple[str, ...]
    title: str
    writes = False
    # Whether a trace can be read while it is being written.
    follows = False

    @abstractmethod
    def sniff(self, head: bytes) -> bool:
        """Say whether a file that begins with ``head`` is of this format."""

    @abstractmethod
    def open(self, source: ByteSource, options: ReadOptions) -> TraceReader:
        """Return a reader with its header read. Raises InputError."""

    def write(self, stream: BinaryIO, items: Iterable[Item], info: TraceInfo) -> None:
        """Write a trace; ``info.end`` counts when the items are exhausted.

        Raises ValueError for what the format cannot express. A format that is only read has ``writes`` false.
        """
        raise NotImplementedError
