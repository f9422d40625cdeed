"""What the elements of a tracerpt file mean: one ``<Event>`` becomes one record."""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Callable

from kmclcheck.traces.etw.clock import parse_time
from kmclcheck.traces.etw.record import Record
from kmclcheck.traces.etw.values import MAX_DIGITS, parse_value

# An event is at most 64 KiB before it becomes text; what is larger than this was not written by tracerpt.
MAX_DEPTH = 32
MAX_TEXT = 256 * 1024
MAX_EVENT = 1024 * 1024
MAX_FIELDS = 4096

# The log's own header event tells what was lost.
HEADER_GUID = "68fdd900-4a3e-11d1-84f4-0000f80464e3"
NOBODY = 0xFFFFFFFF
_NO_GUID = "00000000-0000-0000-0000-000000000000"
_BLANKS = re.compile(r"\s+")
# Elements of a section whose text counts; the sections with fields are not among them.
_WORDS = {
    "System": {"EventID", "Version"},
    "RenderingInfo": {"Task"},
    "ProcessingErrorData": {"EventPayload"},
    "DebugData": {"Message", "Component"},
    "ExtendedTracingInfo": {"EventGuid"},
}
# Where the fields begin: user data stands in an element of its provider's own.
_FIELDS = {"EventData": 2, "UserData": 3}

Attributes = dict[str, str]


class EventError(Exception):
    """An event is beyond the limits, or no event of tracerpt; the text says why."""


class EventBuilder:
    """Takes elements as an XML parser meets them, and gathers ``records``.

    ``place`` tells line and offset of the tag at hand.
    """

    def __init__(self, place: Callable[[], tuple[int, int]]) -> None:
        self.depth = 0
        self.root = ""
        self.records: list[Record] = []
        self._place = place
        self.busy = False  # inside an event
        # Raised by every tag and text: a parser that goes on without either is inside something endless.
        self.steps = 0
        self._top = 0
        self._section = ""
        self._fields_at = 0
        self._path: list[str] = []
        self._leaf = False
        self._text: list[str] | None = None
        self._text_size = 0
        self._size = 0
        self._failed = False  # tracerpt could not decode the event
        self._words: Attributes = {}
        self._repeats: dict[str, int] = {}
        self._record = Record()

    def start(self, name: str, attributes: Attributes) -> None:
        """Take a start tag. Raises EventError."""
        self.steps += 1
        self.depth += 1
        if ":" in name:
            name = name.rpartition(":")[2]
        if not self.busy:
            if self.depth == 1:
                self.root = name
            if name == "Event":
                self._begin()
            elif self.depth > MAX_DEPTH:
                raise EventError(f"elements are nested more than {MAX_DEPTH} deep")
            return
        if self.depth > MAX_DEPTH:
            raise EventError(f"elements are nested more than {MAX_DEPTH} deep")
        if name == "Event":
            raise EventError("an event begins inside another one")
        level = self.depth - self._top
        if level == 1:
            self._section = name
            self._fields_at = _FIELDS.get(name, 0)
            if name == "BinaryEventData":
                self._listen()
            elif name == "ProcessingErrorData":
                self._failed = True
        elif self._fields_at:
            if level >= self._fields_at:
                self._path.append(attributes.get("Name", name))
                self._leaf = True
                self._listen()
        elif name in _WORDS.get(self._section, ()):
            self._listen()
        elif self._section == "System":
            for key, value in attributes.items():
                self._words[f"{name}.{key}"] = value

    def end(self, name: str) -> None:
        """Take an end tag. Raises EventError."""
        level = self.depth - self._top
        self.depth -= 1
        if not self.busy:
            return
        if self._fields_at and level >= self._fields_at:
            if self._leaf:
                self._add_field(".".join(self._path), "".join(self._text or ()))
                self._leaf = False
            self._path.pop()
        elif self._text is not None:
            name = name.rpartition(":")[2] if ":" in name else name
            self._words[f"{self._section}.{name}"] = "".join(self._text)
        self._text = None
        if level == 0:
            self.busy = False
            self.records.append(self._finish())

    def text(self, data: str) -> None:
        """Take text. Raises EventError."""
        self.steps += 1
        if self._text is not None:
            self._text_size += len(data)
            self._size += len(data)
            if self._text_size > MAX_TEXT or self._size > MAX_EVENT:
                raise EventError(f"the text of a field is longer than {MAX_TEXT} characters")
            self._text.append(data)
        elif not self.busy and not data.isspace():
            raise EventError("text stands between the events")

    def _begin(self) -> None:
        self.busy = True
        self._top = self.depth
        self._section = ""
        self._fields_at = 0
        self._path.clear()
        self._leaf = False
        self._text = None
        self._size = 0
        self._failed = False
        self._words = {}
        self._repeats = {}
        line, offset = self._place()
        self._record = Record(line=line, offset=offset)

    def _listen(self) -> None:
        self._text = []
        self._text_size = 0

    def _add_field(self, name: str, text: str) -> None:
        fields = self._record.fields
        if len(fields) >= MAX_FIELDS:
            raise EventError(f"an event has more than {MAX_FIELDS} fields")
        self._size += len(name)
        if self._size > MAX_EVENT:
            raise EventError(f"an event is longer than {MAX_EVENT} characters")
        value = parse_value(text)
        # The elements of an array come as fields of one name.
        if name in self._repeats:
            number = self._repeats[name]
            self._repeats[name] = number + 1
            fields[f"{name}.{number}"] = value
        elif name in fields:
            self._repeats[name] = 2
            fields[f"{name}.0"] = fields.pop(name)
            fields[f"{name}.1"] = value
        else:
            fields[name] = value

    def _finish(self) -> Record:
        record, words = self._record, self._words
        word = words.get
        record.provider = word("Provider.Name", "")
        guid = word("Provider.Guid", "").strip("{} ").lower()
        if not guid or guid == _NO_GUID:
            # A classic event is known by the class that it is of.
            guid = word("ExtendedTracingInfo.EventGuid", "").strip("{} ").lower()
        record.guid = guid
        record.id = _number(word("System.EventID")) or 0
        record.version = _number(word("System.Version")) or 0
        record.time = parse_time(word("TimeCreated.SystemTime", ""))
        record.cpu = _number(word("Execution.ProcessorID"))
        record.pid = _id(word("Execution.ProcessID"))
        record.tid = _id(word("Execution.ThreadID"))
        if not record.id:
            record.event = word("RenderingInfo.Task", "").strip()
        if "DebugData.Message" in words:
            record.message = words["DebugData.Message"].strip()
            record.provider = record.provider or word("DebugData.Component", "").strip()
        payload = word("BinaryEventData.BinaryEventData") or word("ProcessingErrorData.EventPayload")
        record.payload = _bytes(payload or "")
        if payload or self._failed:
            record.damaged = "tracerpt did not know its fields"
        return record


def _number(text: str | None) -> int | None:
    word = text.strip() if text else ""
    return int(word) if word.isascii() and word.isdigit() and len(word) <= MAX_DIGITS else None


def _id(text: str | None) -> int | None:
    """Return a process or thread id; events without one have all bits set."""
    value = _number(text)
    return None if value == NOBODY else value


def _bytes(text: str) -> bytes:
    try:
        return unhexlify(_BLANKS.sub("", text))
    except ValueError:
        return b""
