"""The bytes of a trace that is still being written: a file that grows, or a pipe."""

from __future__ import annotations

import os
import queue
import stat
import sys
import threading
import time
from collections.abc import Callable
from enum import Enum
from io import FileIO

from kmclcheck.traces.base import HEAD_SIZE, ByteSource, input_error, looks_binary, open_stream
from kmclcheck.traces.lines import BLOCK_SIZE, MAX_LINE

FIRST_WAIT, LONGEST_WAIT = 0.01, 0.2
"""Seconds between two looks at a file; they double from the first to the longest."""

_PIECES_AHEAD = 4


class Stop(Enum):
    """Why the stream ended. Only PIPE is the end of what was written."""

    PIPE = "the pipe was closed"
    IDLE = "nothing came any more"
    SHORTER = "the file became shorter"
    REPLACED = "another file took its place"
    INTERRUPT = "interrupted"
    UNREAD = "nobody reads what is found"


class FollowedSource(ByteSource):
    """Gives the lines of a stream as they are completed, and waits for more at its end.

    ``head`` holds what was there when the first line was complete. What came of an unfinished last line
    before the watching ended is not given, except at the end of a pipe: ``unfinished`` counts its bytes.
    An interrupt while waiting ends the stream, so that what was read can be judged. ``waiting`` is called
    between two looks, ``idle`` is the time in seconds after which nobody waits any longer.
    """

    def __init__(
        self, path: str, idle: float | None = None, waiting: Callable[[], None] = lambda: None
    ) -> None:
        self.path = path
        self.bytes_read = 0
        self.stopped: Stop | None = None
        self.unfinished = 0
        self._idle = idle
        self._waiting = waiting
        self._place = 0
        self._rest = b""
        self._grown: FileIO | None = None
        self._pipe: _Pipe | None = None
        self._identity: tuple[int, int] | None = None
        if path == "-":
            try:
                self._pipe = _Pipe(sys.stdin.fileno())
            except (AttributeError, OSError, ValueError):
                raise input_error("cannot be read: standard input is closed", path) from None
        else:
            stream = open_stream(path)
            found = os.fstat(stream.fileno())
            if stat.S_ISREG(found.st_mode):
                self._identity = found.st_dev, found.st_ino
                self._grown = stream
            else:
                self._pipe = _Pipe(stream.fileno(), stream)
        head = b""
        while len(head) < HEAD_SIZE and not (head.strip() and head.rstrip(b" \t").endswith(b"\n")):
            piece = self._whole_lines()
            head += piece
            if not piece or looks_binary(head):
                break
        self.head = self._unread = head

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes of complete lines; ``b""`` once the watching is over."""
        if not self._unread:
            self._unread = self._whole_lines()
        piece, self._unread = self._unread[:size], self._unread[size:]
        self.bytes_read += len(piece)
        return piece

    def seekable(self) -> None:
        """Return nothing: who reads at places of their own cannot follow."""
        return

    def close(self) -> None:
        """Close the file; standard input stays open, for it is not ours."""
        if self._grown is not None:
            self._grown.close()

    def _whole_lines(self) -> bytes:
        while self.stopped is None:
            try:
                piece = self._next()
            except KeyboardInterrupt:
                self.stopped = Stop.INTERRUPT
                break
            if not piece:
                break
            data = self._rest + piece
            cut = data.rfind(b"\n") + 1
            if (not cut and len(data) > MAX_LINE) or looks_binary(piece):
                # No line is that long; the reader says so, and skips the rest of it.
                cut = len(data)
            self._rest = data[cut:]
            if cut:
                return data[:cut]
        rest, self._rest = self._rest, b""
        if self.stopped is Stop.PIPE:
            return rest
        self.unfinished += len(rest)
        return b""

    def _next(self) -> bytes:
        """Wait for more bytes and return them; ``b""`` with ``stopped`` set if none will come."""
        pause, since = FIRST_WAIT, time.monotonic()
        while self.stopped is None:
            piece = self._look(pause)
            if piece:
                self._place += len(piece)
                return piece
            if self.stopped is None:
                self._waiting()
                if self._idle is not None and time.monotonic() - since >= self._idle:
                    self.stopped = Stop.IDLE
            pause = min(2 * pause, LONGEST_WAIT)
        return b""

    def _look(self, pause: float) -> bytes:
        """Return what is there, perhaps after a pause; ``b""`` if there is nothing yet."""
        if self._pipe is not None:
            piece = self._pipe.get(pause)
            if piece == b"":
                self.stopped = Stop.PIPE
            return piece or b""
        assert self._grown is not None
        try:
            piece = self._grown.read(BLOCK_SIZE)
            if piece:
                return piece
            if os.fstat(self._grown.fileno()).st_size < self._place:
                self.stopped = Stop.SHORTER
            elif not self._is_there():
                # What was written before that is read by now, unless it came this very moment.
                piece = self._grown.read(BLOCK_SIZE)
                self.stopped = None if piece else Stop.REPLACED
                return piece or b""
            else:
                time.sleep(pause)
        except OSError as error:
            raise input_error(f"cannot be read: {error.strerror or error}", self.path) from None
        return b""

    def _is_there(self) -> bool:
        """Say whether the path still names the file that is open."""
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity


class _Pipe:
    """Reads a pipe in a thread of its own: a wait can then be interrupted, and limited, on every system."""

    def __init__(self, descriptor: int, stream: FileIO | None = None) -> None:
        self._descriptor = descriptor
        self._stream = stream  # kept, lest it be closed
        self._pieces: queue.Queue[bytes | OSError] = queue.Queue(_PIECES_AHEAD)
        # A buffered stream would be locked when the interpreter ends while the thread still waits.
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                piece: bytes | OSError = os.read(self._descriptor, BLOCK_SIZE)
            except OSError as error:
                piece = error
            self._pieces.put(piece)
            if not piece or isinstance(piece, OSError):
                return

    def get(self, seconds: float) -> bytes | None:
        """Return the next piece, ``b""`` at the end, or ``None`` if nothing came in time. Raises OSError."""
        try:
            piece = self._pieces.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(piece, OSError):
            raise piece
        return piece
