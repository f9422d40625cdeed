"""The bytes of a log at any place: from the file itself, or kept while they come from a pipe."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from kmclcheck.traces.base import ByteSource, input_error

# A pipe is kept in memory up to this size, and in a temporary file beyond.
MEMORY = 4 << 20
_PIECE = 1 << 18


class RandomInput:
    """Reads a source at any offset. A pipe is copied first, since a log is not in the order of time."""

    def __init__(self, source: ByteSource) -> None:
        self._path = source.path
        self._source = source
        self._kept: BinaryIO | None = None
        self._base = 0
        try:
            stream = source.seekable()
            if stream is None:
                self._stream = self._kept = self._copied(source)
                self.size = self._kept.tell()
            else:
                self._stream, self._base = stream
                self.size = self._stream.seek(0, 2) - self._base
        except OSError as error:
            raise input_error(f"cannot be read: {error.strerror or error}", self._path) from None

    def at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset`` on; fewer at the end."""
        try:
            self._stream.seek(self._base + offset)
            data = self._stream.read(size)
            while len(data) < size and (more := self._stream.read(size - len(data))):
                data += more
        except OSError as error:
            raise input_error(f"cannot be read: {error.strerror or error}", self._path) from None
        return data

    def close(self) -> None:
        """Close the file, and forget what was kept."""
        if self._kept is not None:
            self._kept.close()
        self._source.close()

    @staticmethod
    def _copied(source: ByteSource) -> BinaryIO:
        kept = cast("BinaryIO", SpooledTemporaryFile(max_size=MEMORY))  # noqa: SIM115 (closed by close)
        while piece := source.read(_PIECE):
            kept.write(piece)
        return kept
