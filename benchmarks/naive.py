"""The script a driver engineer would write in half an hour: two properties, a regex and a dict.

P1: VmbChannelCleanup only while the channel is disabled. P2: a received packet is completed exactly once.
"""

import re
import sys

LINE = re.compile(
    r"^(?P<seq>\d+) (?P<time>\d+) (?P<cpu>\d+) (?P<pid>\w+)\.(?P<tid>\w+) (?P<irql>\d+)"
    r" (?P<phase>call|ret|in|out) (?P<name>\w+)(?: (?P<args>.*))?$"
)
ARG = re.compile(r"(\w+)=(\S+)")
enabled, held, disabling, faults, count = set(), set(), {}, 0, 0
with open(sys.argv[1], encoding="ascii") as trace:
    for line in trace:
        match = LINE.match(line)
        if not match:
            continue
        count += 1
        phase, name = match["phase"], match["name"]
        args = dict(ARG.findall(match["args"] or ""))
        if phase == "call" and name == "VmbChannelEnable":
            enabled.add(args["Channel"])
        elif phase == "call" and name == "VmbChannelDisable":
            disabling[match["tid"]] = args["Channel"]
        elif phase == "ret" and name == "VmbChannelDisable":
            enabled.discard(disabling.pop(match["tid"], None))
        elif phase == "call" and name == "VmbChannelCleanup":
            faults += args["Channel"] in enabled
        elif phase == "in" and name == "EvtVmbChannelProcessPacket":
            held.add(args["Packet"])
        elif phase == "call" and name == "VmbChannelPacketComplete":
            faults += args["PacketCompletionContext"] not in held
            held.discard(args["PacketCompletionContext"])
print(count, "events", faults + len(held), "faults")
