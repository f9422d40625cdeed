"""The mini conformance suite of the reference, line by line.

A line is a list of words. Each word stands for one record or a few; a prelude brings the channel
into the state that the first word needs. Lines that need a rule of the extended profile are listed
in ``WAITING`` and are checked to name a rule that is planned, not yet there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from kmclcheck.engines.monitor import Options
from kmclcheck.engines.replay import check
from kmclcheck.model.event import End, Start, TraceInfo
from kmclcheck.model.finding import TraceResult
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import read_text

ACCEPT = "accept"
CH = "Channel=0x10"


@dataclass
class Line:
    """Turns words into native records on one main thread and one delivery thread."""

    server: bool = False
    text: list[str] = field(default_factory=list)
    packets: int = 0
    held: list[str] = field(default_factory=list)
    endpoint: str = ""

    def add(self, *records: str, tid: int = 4, irql: int = 0) -> None:
        place = f" at={self.endpoint}" if self.endpoint else ""
        self.text += [f"{record} tid={tid} irql={irql}{place}" for record in records]

    def function(self, name: str, args: str, ret: str = "", **where: int) -> None:
        self.add(f"call {name} {args}", f"ret {name} {ret}".strip(), **where)

    def callback(self, name: str, out: str = "", tid: int = 7) -> None:
        self.add(f"in {name} {CH}", f"out {name} {out}".strip(), tid=tid)

    def born(self) -> None:
        self.function("VmbChannelAllocate", f"IsServer={int(self.server)}", f"{CH} status=0")

    def init(self) -> None:
        slots = "Version=1 Size=48 Opened=1 Closed=1 Suspend=1 Started=1 PostStarted=1"
        self.function(
            "VmbChannelInitSetStateChangeCallbacks", f"{CH} StateChangeCallbacks=0x99 {slots}", "status=0"
        )
        self.function("VmbChannelInitSetMaximumPacketSize", f"{CH} PacketSize=64", "status=0")

    def word(self, word: str) -> None:
        name, _, option = word.partition(":")
        match name:
            case "Init":
                self.init()
            case "ENABLE":
                self.function("VmbChannelEnable", CH, "status=0")
            case "START":
                self.function("VmbChannelStart", CH)
            case "PAUSE":
                self.function("VmbChannelPause", CH)
            case "DISABLE":
                self.function("VmbChannelDisable", CH)
            case "Cleanup":
                self.function("VmbChannelCleanup", CH)
            case "Enable.call" | "Disable.call" | "Pause.call" | "Start.call":
                self.add(f"call VmbChannel{name.removesuffix('.call')} {CH}")
            case "Enable.ok":
                self.add(f"ret VmbChannelEnable {CH} status=0")
            case "Disable.ret" | "Pause.ret" | "Start.ret":
                self.add(f"ret VmbChannel{name.removesuffix('.ret')} {CH}")
            case "OPEN":
                self.callback("EvtVmbChannelOpened", "status=0")
            case "Opened.in":
                self.add(f"in EvtVmbChannelOpened {CH}", tid=7)
            case "Opened.fail":
                self.add("out EvtVmbChannelOpened status=0xC0000001", tid=7)
            case "RUN":
                self.callback("EvtVmbChannelStarted")
                self.callback("EvtVmbChannelPostStarted")
            case "Started.in" | "PostStarted.in" | "Closed.in":
                self.add(f"in EvtVmbChannel{name.removesuffix('.in')} {CH}", tid=7)
            case "Started.out" | "PostStarted.out" | "Closed.out":
                self.add(f"out EvtVmbChannel{name.removesuffix('.out')}", tid=7)
            case "STOP":
                self.callback("EvtVmbChannelSuspend")
            case "CLOSE":
                self.callback("EvtVmbChannelClosed")
            case "PP":
                self.packets += 1
                q = hex(0x1000 + self.packets)
                self.held.append(q)
                self.add(
                    f"in EvtVmbChannelProcessPacket {CH} Packet={q} Flags=0",
                    f"out EvtVmbChannelProcessPacket Packet={q}",
                    tid=9,
                )
            case "Complete":
                q = self.held.pop(0) if self.held else "0x1001"
                self.function("VmbChannelPacketComplete", f"PacketCompletionContext={q}", tid=9)
            case "PP.in":
                self.add(
                    f"in EvtVmbChannelProcessPacket {CH} Packet=0x1001 Flags=1", tid=9, irql=int(option or 0)
                )
                self.held = ["0x1001"]
            case "PP.out":
                self.add("out EvtVmbChannelProcessPacket Packet=0x1001", tid=9)
            case "Defer":
                self.function(
                    "VmbChannelPacketDeferToPassive", "PacketCompletionContext=0x1001", tid=9, irql=2
                )
            case "Fail":
                self.function("VmbChannelPacketFail", "PacketCompletionContext=0x1001", tid=9)
            case "GetExternalData":
                status = {"pend": "STATUS_PENDING", "ok": "STATUS_SUCCESS"}[option]
                self.function(
                    "VmbChannelPacketGetExternalData",
                    "PacketCompletionContext=0x1001 Flags=0",
                    f"status={status}",
                    tid=9,
                )
            case "Alloc":
                self.packets += 1
                self.function("VmbPacketAllocate", CH, f"return={hex(0x2000 + self.packets)}")
            case "PacketInit":
                self.packets = 1
                self.function(
                    "VmbPacketInitialize", f"{CH} VmbPacket=0x2001 ByteCount=128", "VmbPacket=0x2001 status=0"
                )
            case "SetRoutine":
                self.function("VmbPacketSetCompletionRoutine", f"{self.packet()} CompletionRoutine=0x77")
            case "Send" | "SENT":
                if self.packets == 0:
                    self.word("Alloc")
                    self.word("SetRoutine")
                self.function("VmbPacketSend", f"{self.packet()} BufferLength=8 Flags=1", "status=0")
                if name == "Send":
                    self.packets = 0
            case "Send.call":
                self.add(f"call VmbPacketSend {self.packet()} BufferLength=8 Flags=1")
            case "Send.ok" | "Send.fail":
                self.add(f"ret VmbPacketSend status={'0' if name == 'Send.ok' else '0xC0000001'}")
            case "completion":
                packet = self.packet().replace("PacketObject", "Packet")
                self.add(
                    f"in EvtVmbPacketCompletionRoutine {packet} Status=0",
                    "out EvtVmbPacketCompletionRoutine",
                    tid=9,
                )
            case "Free":
                self.function("VmbPacketFree", self.packet().replace("PacketObject", "VmbPacket"))
            case "Gpadl" | "Create":
                self.function("VmbChannelCreateGpadlFromMdl", f"{CH} Flags=0", "GpadlHandle=5 status=0")
            case "Map":
                self.function("VmbChannelMapGpadl", f"{CH} Flags=0 GpadlHandle=5", "status=0")
            case "Unmap":
                self.function("VmbChannelUnmapGpadl", f"{CH} GpadlHandle=5", tid=9)
            case "DELETE":
                self.function("VmbChannelDeleteGpadl", f"{CH} GpadlHandle=5")
            case "Delete.call":
                self.add(f"call VmbChannelDeleteGpadl {CH} GpadlHandle=5")
            case "Delete.ret":
                self.add("ret VmbChannelDeleteGpadl")
            case "SaveBegin":
                self.function("VmbChannelSaveBegin", CH, "status=0")
            case "SaveContinue":
                status = {"ok": "STATUS_SUCCESS", "more": "STATUS_BUFFER_OVERFLOW"}[option]
                self.function("VmbChannelSaveContinue", CH, f"status={status}")
            case "SaveEnd":
                self.function("VmbChannelSaveEnd", CH)
            case "Restore":
                status = {"ok": "STATUS_SUCCESS", "more": "STATUS_MORE_PROCESSING_REQUIRED"}[option]
                self.function("VmbChannelRestoreFromBuffer", CH, f"status={status}")
            case "end":
                self.text.append("%end unloaded")
            case _:
                raise AssertionError(word)

    def packet(self) -> str:
        return f"PacketObject={hex(0x2000 + self.packets)}"


CHANNEL = [
    ("TC1", "s", "Init ENABLE START OPEN Started.in Started.out PP PostStarted.in PP PostStarted.out PP "
     "Disable.call STOP Complete Complete Complete CLOSE Disable.ret Cleanup", ACCEPT),
    ("TC2", "s", "Init ENABLE OPEN Start.call RUN Start.ret PP Complete STOP CLOSE OPEN RUN", ACCEPT),
    ("TC3", "c", "Init Enable.call OPEN RUN Enable.ok START PP Complete STOP CLOSE DISABLE Init "
     "ENABLE OPEN", ACCEPT),
    ("TC6", "c", "Init ENABLE OPEN RUN PP Pause.call STOP Complete Pause.ret CLOSE DISABLE Cleanup", ACCEPT),
    ("TC8", "c", "Init ENABLE Opened.in Opened.fail CLOSE DISABLE Cleanup", ACCEPT),
    ("TC9", "s", "Init Cleanup", ACCEPT),
    ("TC11", "c", "Init ENABLE OPEN Started.in Started.out STOP CLOSE", ACCEPT),
    ("TC12", "c", "Init ENABLE OPEN Send RUN Send", ACCEPT),
    ("TC16", "s", "Init Start.call", "start-when-enabled"),
    ("TC18", "s", "Init ENABLE START OPEN PP", "lg-process-packet-window"),
    ("TC20", "c", "Init ENABLE OPEN RUN Closed.in", "lg-closed-when-drained"),
    ("TC21", "c", "Init ENABLE OPEN RUN PP STOP Closed.in", "lg-closed-when-drained"),
    ("TC22", "c", "Init ENABLE OPEN RUN STOP PP", "lg-process-packet-window"),
    ("TC23", "c", "Init Opened.in", "lg-opened-needs-enable"),
    ("TC25", "c", "Init ENABLE OPEN RUN PP Pause.call STOP Pause.ret", "lg-pause-returns-quiet"),
    ("TC26", "c", "Init ENABLE OPEN RUN Disable.call STOP Send", "packet-no-send-while-suspended"),
    ("TC27", "c", "Init ENABLE OPEN RUN STOP CLOSE Gpadl", "gpadl-create-when-open"),
    ("TC28", "c", "Init ENABLE OPEN RUN STOP CLOSE Send", "packet-no-send-when-disabled"),
    ("TC29", "c", "Init ENABLE OPEN PostStarted.in", "lg-poststarted-follows-started"),
]  # fmt: skip

OUTGOING = [
    ("TP1", "Alloc SENT Alloc Free", ACCEPT),
    ("TP2", "Alloc SetRoutine Send.call completion Send.ok Free", ACCEPT),
    ("TP4", "Alloc Send.call Send.fail Free end", ACCEPT),
    ("TP6", "PacketInit SetRoutine SENT completion PacketInit", ACCEPT),
    ("TP8", "PacketInit Send.call", "packet-initialized-has-routine"),
    ("TP9", "Alloc SetRoutine SENT Send.call", "packet-send-when-ready"),
    ("TP10", "Alloc SetRoutine SENT Free", "packet-free-when-ready"),
    ("TP13", "Alloc SetRoutine SENT completion completion", "lg-completion-exactly-once"),
]

INCOMING = [
    ("TI1", "PP.in Complete PP.out", ACCEPT),
    ("TI2", "PP.in PP.out Complete PP.in Complete", ACCEPT),
    ("TI3", "PP.in:2 Defer PP.out PP.in:0 PP.out Complete", ACCEPT),
    ("TI4", "PP.in GetExternalData:pend PP.out PP.in GetExternalData:ok PP.out Complete", ACCEPT),
    ("TI5", "PP.in Fail PP.out end", ACCEPT),
    ("TI9", "PP.in PP.out end", "incoming-disposed"),
    ("TI10", "PP.in:2 Defer Complete", "incoming-one-disposition"),
    ("TI11", "PP.in GetExternalData:pend Complete", "incoming-pending-must-return"),
    ("TI12", "PP.in:2 Defer PP.out Complete", "incoming-no-complete-while-requeued"),
    ("TI14", "PP.in:2 Defer PP.out PP.in:2", "lg-deferred-redelivered-passive"),
    ("TI16", "PP.in Complete GetExternalData:ok", "incoming-no-use-after-disposal"),
]

# "2": both endpoints in one trace; Map and Unmap are the host's, on its own end of the channel.
GPADL = [
    ("TG1", "2", "Create Map Unmap DELETE Closed.out end", ACCEPT),
    ("TG2", "2", "Create Map Delete.call Unmap Delete.ret", ACCEPT),
    ("TG4", "c", "Create Closed.out", "gpadl-deleted-by-close"),
    ("TG6", "2", "Create Map Map", "gpadl-single-mapping"),
    ("TG7", "2", "Create Unmap", "gpadl-unmap-mapped"),
    ("TG10", "s", "Map Closed.out", "gpadl-unmapped-by-close"),
]

SAVE = [
    ("TV3", "Restore:more Restore:ok START", ACCEPT),
    ("TV4", "SaveContinue:more", "save-continue-after-begin"),
    ("TV6", "SaveBegin SaveContinue:ok Cleanup", "save-ended"),
    ("TV7", "SaveEnd", "save-end-after-begin"),
    ("TV8", "SaveBegin SaveContinue:more SaveEnd", "save-completed-before-end"),
    ("TV9", "Restore:more Start.call", "restore-loop"),
]

WARNINGS = {"TC28", "TI14", "TG10", "TV8", "TV9"}

WAITING = {
    "TP11": ("Alloc Free Free", "packet-no-double-free"),
    "TG8": ("Create Map DELETE", "lg-delete-after-unmap"),
}


def run(line: Line) -> TraceResult:
    info = TraceInfo(start=Start.KNOWN, end=End.STOPPED, records_all=True)
    reader = read_text(
        "\n".join(["%kmtrace 1", "%start known", "%records all", *line.text]) + "\n", defaults=info
    )
    result = check(bundled_spec(), Options(), reader)
    assert not result.problems
    return result


def judge(name: str, line: Line, verdict: str, obligations_of_prelude: bool = False) -> None:
    result = run(line)
    findings = [f for f in result.findings if not (obligations_of_prelude and f.rule == "channel-cleaned-up")]
    if verdict == ACCEPT:
        assert [f.rule for f in findings] == []
        return
    assert len(findings) == 1, [f.rule for f in findings]
    finding = findings[0]
    assert verdict in (finding.rule, *finding.also_broken)
    severity = bundled_spec().rules[verdict].severity.value
    assert severity == ("warning" if name in WARNINGS else "error")
    last = len(line.text) + 3
    at_end = line.text[-1].startswith("%end")
    if at_end:
        assert finding.event is None
    else:
        assert finding.event is not None
        # Words that stand for a call and its return break the rule at the first of the two records.
        assert last - finding.event.line in (0, 1)
    assert finding.slice is not None
    assert finding.slice.replayed


def prelude(server: bool, words: str) -> Line:
    line = Line(server=server)
    line.born()
    line.init()
    for word in words.split():
        line.word(word)
    return line


@pytest.mark.parametrize(("name", "role", "words", "verdict"), CHANNEL, ids=[c[0] for c in CHANNEL])
def test_channel(name: str, role: str, words: str, verdict: str) -> None:
    line = Line(server=role == "s")
    line.born()
    for word in words.split():
        line.word(word)
    judge(name, line, verdict)


@pytest.mark.parametrize(("name", "words", "verdict"), OUTGOING, ids=[c[0] for c in OUTGOING])
def test_outgoing_packet(name: str, words: str, verdict: str) -> None:
    line = prelude(False, "ENABLE OPEN RUN")
    for word in words.split():
        line.word(word)
    judge(name, line, verdict, "end" in words)


@pytest.mark.parametrize(("name", "words", "verdict"), INCOMING, ids=[c[0] for c in INCOMING])
def test_received_packet(name: str, words: str, verdict: str) -> None:
    line = prelude(True, "ENABLE START OPEN RUN")
    for word in words.split():
        line.word(word)
    judge(name, line, verdict, "end" in words)


@pytest.mark.parametrize(("name", "role", "words", "verdict"), GPADL, ids=[c[0] for c in GPADL])
def test_gpadl(name: str, role: str, words: str, verdict: str) -> None:
    line = prelude(role == "s", "ENABLE OPEN")
    if role == "2":
        line.endpoint, line.server = "host", True
        line.born()
        line.init()
        for word in ("ENABLE", "START", "OPEN"):
            line.word(word)
    for word in words.split():
        line.endpoint = "host" if role == "2" and word in ("Map", "Unmap") else ""
        if word == "Closed.out":
            line.word("Closed.in")
        line.word(word)
    judge(name, line, verdict, "end" in words)


@pytest.mark.parametrize(("name", "words", "verdict"), SAVE, ids=[c[0] for c in SAVE])
def test_save_and_restore(name: str, words: str, verdict: str) -> None:
    # A paused server: enabled, not started; the line that ends in Cleanup needs it disabled.
    line = prelude(True, "ENABLE START PAUSE" if "Cleanup" not in words else "ENABLE START PAUSE DISABLE")
    for word in words.split():
        line.word(word)
    judge(name, line, verdict)


@pytest.mark.parametrize("name", WAITING)
def test_lines_that_wait_for_the_extended_profile(name: str) -> None:
    words, rule = WAITING[name]
    assert rule not in bundled_spec().rules, f"{name} can be checked now: move it out of WAITING"
    line = prelude(False, "ENABLE OPEN RUN")
    for word in words.split():
        line.word(word)
    # Until then the line breaks a core rule at the same place, or none.
    assert len(run(line).findings) <= 1
