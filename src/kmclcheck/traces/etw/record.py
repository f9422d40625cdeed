"""One Windows event as its format gives it, before its names become ours."""

from __future__ import annotations

from dataclasses import dataclass, field

FieldValue = int | str


@dataclass(slots=True)
class Record:
    """An event of any provider.

    ``guid`` of the provider is in lower case without braces. ``provider``, ``guid`` and ``event`` are empty
    where the format does not tell. ``message`` is the text of a WPP message. ``fields`` of nested structures
    are named ``outer.inner``, elements of arrays ``name.0``. ``payload`` holds what could not be decoded.
    ``damaged`` says why not all fields could be decoded, if that is so. ``time`` is in nanoseconds from an
    origin of the format's choice. Absent facts are ``None``.
    """

    provider: str = ""
    guid: str = ""
    event: str = ""
    fields: dict[str, FieldValue] = field(default_factory=dict)
    message: str = ""
    id: int = 0
    version: int = 0
    time: int | None = None
    cpu: int | None = None
    pid: int | None = None
    tid: int | None = None
    payload: bytes = b""
    line: int = 0
    offset: int = 0
    damaged: str = ""

    @property
    def label(self) -> str:
        """The name by which a person would count such events."""
        who = self.provider or (f"{{{self.guid}}}" if self.guid else "")
        what = self.event or (f"event {self.id}" if not self.message else "message")
        return f"{who}/{what}" if who else what
