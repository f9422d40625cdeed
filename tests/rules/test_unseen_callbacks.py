"""Counterexamples where callbacks show only under conditions: nothing may be left unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmclcheck.cli.finders import finder
from kmclcheck.engines.question import Limits, Question
from kmclcheck.engines.shortest import Judge, Outcome, answer
from kmclcheck.engines.shown import Shown, shown
from kmclcheck.model.expr import FieldIn, Not
from kmclcheck.model.spec import Spec
from kmclcheck.speclang import load_spec

NOTICES = """
spec notices "Files that tell that they are gone"
object file HFILE {
    field life : { None, Open, Gone, Closed } = None dead { Closed } absent { None, Closed }
    field wanted : bool = true
    field muted : bool = false
}
function FileOpen(out File: "HFILE*" as file, in Wanted: UINT32, in Muted: UINT32) : VOID {
    role either interface "v1"
}
function FileRead(in File: HFILE) : VOID { role either interface "v1" }
function FileClose(in File: HFILE) : VOID { role either interface "v1" }
callback OnGone(in File: HFILE) : VOID {
    recorded when file.life in { Open, Gone } and file.wanted and not file.muted
}
births file { on FileOpen.ret }
machine file.life {
    None -> Open on FileOpen.ret
    Open -> Gone on OnGone.in
    * -> Closed on FileClose.call
}
machine file.wanted { true -> false on FileOpen.ret when not Wanted }
machine file.muted { false -> true on FileOpen.ret when Muted }
rule read-when-gone {
    driver error core
    on file
    statement "A file is read after it told that it is gone."
    at FileRead.call require file.life is Gone
    consequence "c" fix "f" source "s"
}
rule told-if-wanted {
    library error core
    on file
    statement "A file tells only those who want to know."
    at OnGone.in require file.wanted and not file.muted
    consequence "c" fix "f" source "s"
}
rule read-while-there {
    driver error core
    on file
    statement "A file that is gone or closed is not read."
    at FileRead.call require file.life is Open
    consequence "c" fix "f" source "s"
}
rule close-once {
    driver error core
    on file
    statement "A file is closed once."
    at FileClose.call require file.life is not Closed
    consequence "c" fix "f" source "s"
}
"""

FILES = Path(__file__).resolve().parents[1] / "data" / "filehandle.kmcl"


@pytest.fixture
def notices(tmp_path: Path) -> Spec:
    path = tmp_path / "notices.kmcl"
    path.write_text(NOTICES, encoding="utf-8")
    return load_spec([str(path)])


def _ask(engine: str, spec: Spec, rule: str) -> Outcome:
    judge = Judge(spec, frozenset({rule}))
    return answer(spec, finder(engine), Question(rule), judge, Limits(), 20.0)


def test_what_has_to_hold(notices: Spec) -> None:
    """That a file is closed hides no callback of it any more; that nobody wanted to know still does."""
    alive, ended = frozenset({"Open", "Gone"}), frozenset({"Open", "Gone", "Closed"})
    true = frozenset({"true"})
    wanted, muted = FieldIn("file", "wanted", true), Not(FieldIn("file", "muted", true))
    assert shown(notices) == [
        Shown("file", FieldIn("file", "life", alive), FieldIn("file", "life", ended)),
        Shown("file", wanted, wanted),
        Shown("file", muted, muted),
    ]


@pytest.mark.parametrize("engine", ["graph", "z3"])
class TestNotices:
    def test_every_condition_counts(self, engine: str, notices: Spec) -> None:
        """Only of a file that would have told is it known that it is not gone."""
        found = _ask(engine, notices, "read-when-gone").found
        assert found is not None
        assert [event.name for event in found.events] == ["FileOpen", "FileOpen", "FileRead"]
        assert found.events[0].args["Wanted"] != 0
        assert found.events[0].args["Muted"] == 0

    def test_a_callback_that_cannot_show_breaks_nothing(self, engine: str, notices: Spec) -> None:
        assert _ask(engine, notices, "told-if-wanted").found is None

    @pytest.mark.parametrize("rule", ["close-once", "read-while-there"])
    def test_one_that_is_closed_has_no_callbacks_to_miss(self, engine: str, rule: str, notices: Spec) -> None:
        found = _ask(engine, notices, rule).found
        assert found is not None
        assert len(found.events) == 4


@pytest.mark.parametrize("engine", ["graph", "z3"])
def test_the_same_of_another_specification(engine: str) -> None:
    found = _ask(engine, load_spec([FILES]), "file-no-double-close").found
    assert found is not None
    assert [event.name for event in found.events] == ["FileOpen", "FileOpen", "FileClose", "FileClose"]
