"""Writes the benchmark trace: many channels, received packets of all kinds, sends, handle reuse.

    python benchmarks/make_trace.py EVENTS FILE [--seed N]

The trace conforms to the rules, starts and ends completely, and keeps about a thousand packets alive.
"""

from __future__ import annotations

import argparse
import random
from collections import deque
from pathlib import Path
from typing import TextIO

CHANNELS = 100
HELD = 10


class Writer:
    """Numbers and times the records."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.count = 0

    def __call__(self, phase: str, name: str, args: str, tid: int, irql: int = 0) -> None:
        self.count += 1
        tail = f" {args}" if args else ""
        self.stream.write(
            f"{self.count} {self.count * 1250} {tid % 4} 4.{tid:x} {irql} {phase} {name}{tail}\n"
        )

    def call(self, name: str, args: str, ret: str, tid: int, irql: int = 0) -> None:
        self("call", name, args, tid, irql)
        self("ret", name, ret, tid, irql)

    def callback(self, name: str, args: str, ret: str, tid: int, irql: int = 0) -> None:
        self("in", name, args, tid, irql)
        self("out", name, ret, tid, irql)


def open_channel(write: Writer, handle: int, tid: int) -> None:
    """A server channel from its allocation to its run."""
    channel = f"Channel=0x{handle:x}"
    slots = "Version=1 Size=48 Opened=1 Closed=1 Suspend=1 Started=1 PostStarted=1"
    write.call("VmbChannelAllocate", "IsServer=1", f"{channel} status=0x0", tid)
    write.call("VmbChannelInitSetMaximumPacketSize", f"{channel} PacketSize=512", "status=0x0", tid)
    write.call("VmbChannelInitSetStateChangeCallbacks", f"{channel} {slots}", "status=0x0", tid)
    write.call("VmbChannelInitSetProcessPacketCallbacks", channel, "status=0x0", tid)
    write.call("VmbChannelEnable", channel, "status=0x0", tid)
    write.call("VmbChannelStart", channel, "", tid)
    write.callback("EvtVmbChannelOpened", channel, "status=0x0", tid + 1)
    write.callback("EvtVmbChannelStarted", channel, "", tid + 1)
    write.callback("EvtVmbChannelPostStarted", channel, "", tid + 1)


def close_channel(write: Writer, handle: int, held: deque[int], tid: int) -> None:
    """Disable with its callbacks, and the cleanup."""
    channel = f"Channel=0x{handle:x}"
    write("call", "VmbChannelDisable", channel, tid)
    write.callback("EvtVmbChannelSuspend", channel, "", tid)
    while held:
        write.call(
            "VmbChannelPacketComplete", f"PacketCompletionContext=0x{held.popleft():x} BufSize=0", "", tid
        )
    write.callback("EvtVmbChannelClosed", channel, "", tid)
    write("ret", "VmbChannelDisable", "", tid)
    write.call("VmbChannelCleanup", channel, "", tid)


def packet_work(
    write: Writer, handle: int, held: deque[int], free: list[int], rng: random.Random, tid: int
) -> None:
    """One delivery, completed in line or later, or one send with its completion."""
    channel = f"Channel=0x{handle:x}"
    kind = rng.random()
    if kind < 0.7:
        packet = free.pop(rng.randrange(len(free)))
        write(
            "in",
            "EvtVmbChannelProcessPacket",
            f"{channel} Packet=0x{packet:x} BufferLength=64 Flags=0",
            tid,
            2,
        )
        if kind < 0.3:
            write.call(
                "VmbChannelPacketComplete", f"PacketCompletionContext=0x{packet:x} BufSize=0", "", tid, 2
            )
            free.append(packet)
        else:
            held.append(packet)
        write("out", "EvtVmbChannelProcessPacket", "", tid, 2)
        if len(held) > HELD:
            done = held.popleft()
            write.call(
                "VmbChannelPacketComplete", f"PacketCompletionContext=0x{done:x} BufSize=0", "", tid + 1, 0
            )
            free.append(done)
    else:
        packet = 0xFFFF_E000_0000_0000 + (handle & 0xFF_FFFF) * 0x100 + rng.randrange(64) * 0x40
        name = f"PacketObject=0x{packet:x}"
        write.call("VmbPacketAllocate", channel, f"return=0x{packet:x}", tid)
        write.call("VmbPacketSetCompletionRoutine", f"{name} CompletionRoutine=0x77", "", tid)
        write.call("VmbPacketSend", f"{name} BufferLength=128 Flags=1", "status=0x0", tid)
        write(
            "in",
            "EvtVmbPacketCompletionRoutine",
            f"Packet=0x{packet:x} Status=0x0 BufferLength=0",
            tid + 1,
            2,
        )
        write.call("VmbPacketFree", f"VmbPacket=0x{packet:x}", "", tid + 1, 2)
        write("out", "EvtVmbPacketCompletionRoutine", "", tid + 1, 2)


def make(events: int, stream: TextIO, seed: int) -> int:
    """Write the trace; return the number of its events."""
    rng = random.Random(seed)
    stream.write("%kmtrace 1\n%start known\n%end unloaded\n%records all\n")
    write = Writer(stream)
    handles = [0xFFFF_BC80_1200_0000 + i * 0x1000 for i in range(CHANNELS)]
    free = [0xFFFF_D000_0000_0000 + i * 0x40 for i in range(CHANNELS * (HELD + 40))]
    held: dict[int, deque[int]] = {h: deque() for h in handles}
    for at, handle in enumerate(handles):
        open_channel(write, handle, 0x100 + 4 * at)
    while write.count < events - 40 * CHANNELS:
        at = rng.randrange(CHANNELS)
        packet_work(write, handles[at], held[handles[at]], free, rng, 0x100 + 4 * at)
    for at, handle in enumerate(handles):
        close_channel(write, handle, held[handle], 0x100 + 4 * at)
    return write.count


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with args.file.open("w", encoding="ascii", newline="\n") as stream:
        print(make(args.events, stream, args.seed), "events")


if __name__ == "__main__":
    main()
