"""Shared buffers: made by the client, mapped by the server."""

from __future__ import annotations

from kmclcheck.engines.simulate.base import FAILED, OK, Base
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel

_FORMS = {
    "Mdl": " Flags=0 Mdl=0xffffbc8070008000 StartOffsetWithinMdl=0 DataLengthWithinMdl=2097152",
    "Buffer": " Flags=0 Buffer=0xffffbc8070008000 ByteCount=2097152",
    "PfnList": "",  # a later function, of which only the name is published
}


class GpadlCalls(Base):
    """The functions about shared buffers."""

    def create_gpadl(self, t: Thread, channel: Channel, fails: bool = False) -> Task:
        """Return the number of a new shared buffer, or None if it ``fails``."""
        chance = self.random()
        form = "Mdl" if chance < 0.5 else "Buffer" if chance < 0.85 else "PfnList"
        name, handles = f"VmbChannelCreateGpadlFrom{form}", f" Channel{channel.handle}"
        self.record(t, "call", name, handles, _FORMS[form])
        yield 1000 + self.random() * 5000  # there and back
        link = channel.link
        if fails:
            self.record(t, "ret", name, handles if self.repeats else "", "", FAILED)
            return None
        if link.free_gpadls and self.random() < 0.7:
            number = link.free_gpadls.pop()
        else:
            link.next_gpadl += 1
            number = link.next_gpadl
        link.gpadls[number] = "Live"
        self.record(t, "ret", name, handles if self.repeats else "", f" GpadlHandle={number:#x}", OK)
        return number

    def delete_gpadl(self, t: Thread, channel: Channel, number: int) -> Task:
        """End a shared buffer; waits while the server has it mapped."""
        name, handles, scalar = (
            "VmbChannelDeleteGpadl", f" Channel{channel.handle}", f" GpadlHandle={number:#x}",
        )  # fmt: skip
        self.record(t, "call", name, handles, scalar)
        link = channel.link
        while link.gpadls.get(number) == "Mapped":
            yield channel.signal
        link.gpadls.pop(number, None)
        link.free_gpadls.append(number)
        if self.random() < 0.5:
            yield self.random() * 6000  # another thread may get the number before this call returns
        self.record(t, "ret", name, *((handles, scalar) if self.repeats else ("", "")))

    def map_gpadl(self, t: Thread, channel: Channel, number: int) -> Task:
        """Return whether the buffer is mapped now."""
        name, handles, scalar = (
            "VmbChannelMapGpadl", f" Channel{channel.handle}", f" Flags=0 GpadlHandle={number:#x}",
        )  # fmt: skip
        self.record(t, "call", name, handles, scalar)
        works = channel.link.gpadls.get(number) == "Live" and self.random() < 0.98
        if works:
            channel.link.gpadls[number] = "Mapped"
        if self.random() < 0.3:
            yield self.random() * 2000
        self.record(t, "ret", name, handles if self.repeats else "", "", OK if works else FAILED)
        return works

    def unmap_gpadl(self, t: Thread, channel: Channel, number: int) -> Task:
        name, handles, scalar = (
            "VmbChannelUnmapGpadl", f" Channel{channel.handle}", f" GpadlHandle={number:#x}",
        )  # fmt: skip
        self.record(t, "call", name, handles, scalar)
        if channel.link.gpadls.get(number) == "Mapped":
            channel.link.gpadls[number] = "Live"
        channel.link.changed()
        if self.random() < 0.3:
            yield self.random() * 2000
        self.record(t, "ret", name, *((handles, scalar) if self.repeats else ("", "")))
