"""Events whose layout stands in a manifest elsewhere: those of the KMCL providers are known here.

Their fields are those of two versions. A Boolean of a manifest has 4 bytes by the rules, but no public
capture proves it for these events, so 1 byte is accepted, too: only one of both fits.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from kmclcheck.traces.etw.etl.values import braced_guid
from kmclcheck.traces.etw.record import FieldValue

KMCL_CHILD = "16d90d71-caca-5cd9-a618-8210d93015f3"
KMCL = "fa3f78ff-ba6d-4ede-96b2-9c5bb803e3ba"
PROVIDERS = {KMCL_CHILD: "Microsoft-Windows-Hyper-V-KMCL-Child", KMCL: "Microsoft-Windows-Hyper-V-KMCL"}

_KEY = (("VmId", "16s"), ("InstanceId", "16s"))
_PACKET = (*_KEY, ("TransactionId", "Q"), ("IsCompletionPacket", "?"))
_ROUND = (*_KEY, ("PacketFetched", "I"), ("MaximumFetchAllowed", "I"))
_EVENTS = {1: _PACKET, 2: _PACKET, 3: _ROUND, 4: _KEY, 5: _KEY}
_ADDED = {0: (), 1: (("Channel", "H"),)}
_BOOLEANS = {1: "B", 4: "I"}


class Layout:
    """One way to read the data of an event. ``boolean`` is the size of a Boolean, 0 if there is none."""

    def __init__(self, fields: tuple[tuple[str, str], ...], boolean: int) -> None:
        self.boolean = boolean if any(code == "?" for _, code in fields) else 0
        codes = "".join(_BOOLEANS[boolean] if code == "?" else code for _, code in fields)
        self._layout = Struct("<" + codes)
        self._fields = fields
        self.size = self._layout.size

    def read(self, data: bytes, at: int) -> dict[str, FieldValue]:
        found: dict[str, FieldValue] = {}
        for (name, code), value in zip(self._fields, self._layout.unpack_from(data, at), strict=True):
            found[name] = braced_guid(value) if code == "16s" else int(value != 0) if code == "?" else value
        return found


_LAYOUTS = {
    (id_, version, layout.size): layout
    for id_, fields in _EVENTS.items()
    for version, added in _ADDED.items()
    for boolean in _BOOLEANS
    for layout in (Layout((*fields, *added), boolean),)
}


class ManifestEvents:
    """Decodes events of the known providers; ``tell`` is told once what was found about their Booleans."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: set[int] = set()

    def decode(
        self, guid: str, id_: int, version: int, data: bytes, at: int, end: int
    ) -> tuple[dict[str, FieldValue] | None, str]:
        """Return the fields of an event, or ``None`` and why it could not be read."""
        layout = _LAYOUTS.get((id_, version, end - at))
        if layout is None:
            if guid == KMCL_CHILD and id_ in _EVENTS:
                return None, f"version {version} of event {id_} with {end - at} bytes has no known layout"
            return None, ""
        size = layout.boolean
        if size and size not in self._told:
            self._told.add(size)
            noun = "byte" if size == 1 else "bytes"
            self._tell(f"IsCompletionPacket of {PROVIDERS[guid]} has {size} {noun} in this file")
        return layout.read(data, at), ""
