"""Short traces that are easy to get wrong, with what follows from the reference; judged by every engine."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from kmclcheck.cli.judges import MONITOR, NAMES
from kmclcheck.model.spec import Spec
from kmclcheck.speclang import bundled_spec, load_spec
from tests.support.engines import Answer, Case, answer

MODULES = {"graph": "kmclcheck.engines.explore.walk.judge", "z3": "kmclcheck.engines.symbolic.judge"}
ENGINES = [name for name in NAMES if name == MONITOR or find_spec(MODULES[name]) is not None]

# There is no `object thread` here on purpose.
FILES = """
spec files "Files with a size"
status STATUS_SUCCESS = 0
object file HFILE {
    field life : { None, Open, Closed } = None dead { Closed } absent { None, Closed }
    field size : number
}
function FileOpen(out File: "HFILE*" as file, out Size: UINT32) : NTSTATUS { role either interface "v1" }
function FileRead(in File: HFILE, in Length: UINT32) : VOID { role either interface "v1" }
function FileClose(in File: HFILE) : VOID { role either interface "v1" }
births file { on FileOpen.ret when succeeded }
machine file.life {
    None -> Open on FileOpen.ret when succeeded
    * -> Closed on FileClose.call
}
set file.size = Size on FileOpen.ret when succeeded
rule read-within-size {
    driver error core
    on file
    statement "A file is read within its size."
    at FileRead.call when file.life is Open require Length <= file.size
    consequence "c" fix "f" source "s"
}
rule read-while-open {
    driver error core
    on file
    statement "A file is read while it is open."
    at FileRead.call require file.life is Open
    consequence "c" fix "f" source "s"
}
"""

NOTICES = """
spec notices "Files that tell that they are gone"
object file HFILE {
    field life : { None, Open, Closed } = None dead { Closed } absent { None, Closed }
    field wanted : bool = true
    field allowed : bool = true
}
function FileOpen(out File: "HFILE*" as file, in Wanted: UINT32, in Allowed: UINT32) : VOID {
    role either interface "v1"
}
function FileRead(in File: HFILE) : VOID { role either interface "v1" }
callback OnGone(in File: HFILE) : VOID { recorded when file.wanted and file.allowed }
births file { on FileOpen.ret }
machine file.life {
    None -> Open on FileOpen.ret
    Open -> Closed on OnGone.in
}
machine file.wanted { true -> false on FileOpen.ret when not Wanted }
machine file.allowed { true -> false on FileOpen.ret when not Allowed }
rule read-when-gone {
    driver error core
    on file
    statement "A file is read after it told that it is gone."
    at FileRead.call require file.life is Closed
    consequence "c" fix "f" source "s"
}
"""

HEAD = "%kmtrace 1\n%start known\n%end stopped\n%records all\n"


def _call(who: str, name: str, args: str = "", result: str = "", between: str = "") -> str:
    return f"{who} call {name} {args}\n{between}{who} ret {name} {result}\n"


@cache
def _kmcl() -> Spec:
    return bundled_spec()


def _judged(engine: str, text: str, spec: Spec) -> Answer:
    return answer(engine, Case("hard", "", text), spec)


def _load(folder: Path, text: str) -> Spec:
    path = folder / "own.kmcl"
    path.write_text(text, encoding="utf-8")
    return load_spec([str(path)])


@pytest.fixture
def files(tmp_path: Path) -> Spec:
    return _load(tmp_path, FILES)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("wanted", "allowed"), [(1, 1), (1, 0), (0, 1), (0, 0)])
def test_a_callback_may_go_unseen_for_several_reasons(
    engine: str, wanted: int, allowed: int, tmp_path: Path
) -> None:
    """Only if every condition for its record is met does a missing record mean that it did not happen."""
    text = HEAD + _call("- 1 0 4.1 0", "FileOpen", f"Wanted={wanted} Allowed={allowed}", "File=0x10")
    said = _judged(engine, text + _call("- 2 0 4.1 0", "FileRead", "File=0x10"), _load(tmp_path, NOTICES))
    assert said.verdicts == {"read-when-gone": "fail" if wanted and allowed else "open"}


def _line(text: str, part: str, which: int = -1) -> int:
    """Return the number of the (by default last) line that holds a text."""
    return [n for n, line in enumerate(text.splitlines(), 1) if part in line][which]


@pytest.mark.parametrize("engine", ENGINES)
class TestFiles:
    def test_a_number_set_at_a_birth_is_the_newborns(self, engine: str, files: Spec) -> None:
        """The second file of a handle is shorter; its size is known as well as that of the first."""
        text = HEAD
        for size in (8, 4):
            text += _call("- 1 0 4.1 0", "FileOpen", result=f"File=0x10 Size={size} status=0")
            text += _call("- 2 0 4.1 0", "FileRead", "File=0x10 Length=8")
            text += _call("- 3 0 4.1 0", "FileClose", "File=0x10")
        said = _judged(engine, text, files)
        line = _line(text, "call FileRead")
        assert said.findings == [("read-within-size", line, "file", 0x10, "")]
        assert said.verdicts == {"read-within-size": "fail", "read-while-open": "pass"}

    def test_a_fault_taken_back_does_not_hide_a_later_one(self, engine: str, files: Spec) -> None:
        """The clocks do not tell whether the first read came before a close; of the second they do."""
        text = HEAD + "%clock resolution=1ns skew=100ns\n"
        text += _call("- 1000 0 4.1 0", "FileOpen", result="File=0x10 Size=8 status=0")
        text += _call("- 2000 0 4.1 0", "FileClose", "File=0x10")
        text += _call("- 3000 1 4.2 0", "FileRead", "File=0x10 Length=1")
        text += _call("- 3050 0 4.1 0", "FileClose", "File=0x10")
        text += _call("- 4000 0 4.1 0", "FileClose", "File=0x10")
        first = _judged(engine, text, files)
        assert (first.findings, first.verdicts["read-while-open"]) == ([], "open")
        text += _call("- 5000 1 4.2 0", "FileRead", "File=0x10 Length=1")
        said = _judged(engine, text, files)
        assert said.findings == [("read-while-open", _line(text, "call FileRead"), "file", 0x10, "")]
        assert said.verdicts["read-while-open"] == "fail"


SLOTS = "Opened=1 Closed=1 Suspend=1 Started=1 PostStarted=1"
OPEN_CLIENT = (
    HEAD
    + _call("1 - 0 4.1 0", "VmbChannelAllocate", "IsServer=0", "Channel=0xc0 status=0")
    + _call("1 - 0 4.1 0", "VmbChannelInitSetStateChangeCallbacks", f"Channel=0xc0 {SLOTS}", "status=0")
    + _call("1 - 0 4.1 0", "VmbChannelEnable", "Channel=0xc0", "status=0")
    + "1 - 1 4.2 0 in EvtVmbChannelOpened Channel=0xc0\n1 - 1 4.2 0 out EvtVmbChannelOpened status=0\n"
).replace("1 - ", "- - ")


@pytest.mark.parametrize("engine", ENGINES)
class TestKmcl:
    def test_a_gpadl_number_returns_before_its_deletion(self, engine: str) -> None:
        """Between call and return of a deletion another thread may get the same number: two GPADLs."""
        again = _call(
            "- - 1 4.3 0", "VmbChannelCreateGpadlFromBuffer", "Channel=0xc0", "GpadlHandle=7 status=0"
        )
        text = OPEN_CLIENT
        text += _call(
            "- - 0 4.1 0", "VmbChannelCreateGpadlFromBuffer", "Channel=0xc0", "GpadlHandle=7 status=0"
        )
        text += _call("- - 0 4.1 0", "VmbChannelDeleteGpadl", "Channel=0xc0 GpadlHandle=7", between=again)
        said = _judged(engine, text, _kmcl())
        assert said.findings == []
        # The first is deleted; of the second nobody says that the trace ended where it was due.
        assert said.verdicts["gpadl-delete-live"] == "pass"
        assert said.counts["gpadl-deleted-eventually"] == (1, 1)
        text += _call("- - 0 4.1 0", "VmbChannelDeleteGpadl", "Channel=0xc0 GpadlHandle=7")
        said = _judged(engine, text, _kmcl())
        assert (said.findings, said.counts["gpadl-deleted-eventually"]) == ([], (2, 0))
        text += _call("- - 0 4.1 0", "VmbChannelDeleteGpadl", "Channel=0xc0 GpadlHandle=7")
        said = _judged(engine, text, _kmcl())
        assert [(f[0], f[1]) for f in said.findings] == [
            ("gpadl-delete-live", _line(text, "call VmbChannelDeleteGpadl"))
        ]

    def test_a_packet_first_seen_at_its_completion_was_held(self, engine: str) -> None:
        """In mid-life the first completion is accepted; the second one cannot be right."""
        text = HEAD.replace("known", "midlife")
        text += _call("- - 0 4.1 0", "VmbChannelPacketComplete", "PacketCompletionContext=0x30")
        first = _judged(engine, text, _kmcl())
        assert first.findings == []
        text += _call("- - 0 4.1 0", "VmbChannelPacketComplete", "PacketCompletionContext=0x30")
        said = _judged(engine, text, _kmcl())
        line = _line(text, "call VmbChannelPacketComplete")
        # Two rules say so; which of them leads depends on how it was disposed of, which is not known.
        assert [finding[1:] for finding in said.findings] == [(line, "incoming", 0x30, "")]
        assert said.findings[0][0] in ("incoming-complete-once", "incoming-no-use-after-disposal")

    def test_after_a_loss_the_second_completion_may_be_of_another_packet(self, engine: str) -> None:
        one = _call("- - 0 4.1 0", "VmbChannelPacketComplete", "PacketCompletionContext=0x30")
        text = HEAD.replace("known", "midlife") + one + "%lost\n" + one
        said = _judged(engine, text, _kmcl())
        assert (said.findings, said.verdicts["incoming-complete-once"]) == ([], "open")

    @pytest.mark.parametrize("overlap", [True, False])
    def test_overlapping_wishes_both_remain(self, engine: str, overlap: bool) -> None:
        """Start and Pause that overlap take effect in any order; a Pause that comes after Start does not."""
        server = HEAD + _call("- - 0 4.1 0", "VmbChannelAllocate", "IsServer=1", "Channel=0xc0 status=0")
        server += _call(
            "- - 0 4.1 0", "VmbChannelInitSetStateChangeCallbacks", f"Channel=0xc0 {SLOTS}", "status=0"
        )
        server += _call("- - 0 4.1 0", "VmbChannelEnable", "Channel=0xc0", "status=0")
        start, pause = ("- - 0 4.1 0", "VmbChannelStart"), ("- - 1 4.2 0", "VmbChannelPause")
        if overlap:
            text = server + "".join(
                f"{who} {phase} {name}{' Channel=0xc0' if phase == 'call' else ''}\n"
                for phase in ("call", "ret")
                for who, name in (start, pause)
            )
        else:
            text = server + _call(*start, "Channel=0xc0") + _call(*pause, "Channel=0xc0")
        text += (
            "- - 1 4.3 0 in EvtVmbChannelOpened Channel=0xc0\n- - 1 4.3 0 out EvtVmbChannelOpened status=0\n"
        )
        text += "- - 1 4.3 0 in EvtVmbChannelStarted Channel=0xc0\n- - 1 4.3 0 out EvtVmbChannelStarted\n"
        said = _judged(engine, text, _kmcl())
        line = _line(text, "in EvtVmbChannelStarted")
        broken = [("lg-started-after-opened", line, "channel", 0xC0, "")]
        assert said.findings == ([] if overlap else broken)
