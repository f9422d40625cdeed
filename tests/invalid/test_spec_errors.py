"""Broken specifications: every fault is told, at its place, with a way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmclcheck.diagnostics import Diagnostic, InputError
from kmclcheck.speclang import load_spec
from kmclcheck.speclang.lowering import compile_spec

RINGS = (
    "record Put(in Ring: RING, in Bytes: UINT32) unordered "
    "object ring RING { field hot : { No, Yes } = No absent { No } field puts : counter }"
)
BASE = (
    "spec demo "
    + RINGS
    + """
status STATUS_OK = 0
constant BIT = 1
object file HFILE {
    field life : { None, Open, Closed } = None
    field wide : bool
    field size : number
}
object lock UINT32 of file scoped { field held : { No, Yes } = No }
object other HOTHER { field f : { A, B } = A }
object thread { field t : bool }
function Open(in Mode: UINT32, out File: "HFILE*" as file) : NTSTATUS
function Use(in File: HFILE, in Length: UINT32) : NTSTATUS
function Size(in File: HFILE) : UINT64
function Close(in File: HFILE) : VOID
function Quiet(in File: HFILE) neutral
function Lock(in File: HFILE, in Range: UINT32 as lock) : NTSTATUS
callback OnGone(in File: HFILE) : VOID
group Both = Use, Close
"""
)
RULE = """rule %s {
    driver error core
    on file
    statement "s"
    %s
    consequence "c"
    fix "f"
    source "s"
    %s
}
"""


def problems(text: str) -> list[Diagnostic]:
    return compile_spec({"demo.kmcl": BASE + text})[1]


def rule(check: str = "at Use.call require true", more: str = "", name: str = "r-one") -> str:
    return RULE % (name, check, more)


def at(check: str) -> str:
    return rule(f"at Use.call require {check}")


def on_return(check: str) -> str:
    return rule(f"at Use.ret require {check}")


def machine(line: str) -> str:
    return f"machine file.life {{ {line} }}\n"


CASES = {
    # names
    "event": (rule("at Uze.call require true"), "unknown function, callback or group `Uze`", "`Use`"),
    "phase": (rule("at Use.cal require true"), "unknown phase `cal`", "`call`"),
    "phase-callback": (
        rule("at OnGone.call require true"),
        "`OnGone` is a callback and has no `.call`",
        "`.in`",
    ),
    "phase-group": (rule("at Both.in require true"), "`Use` is a function and has no `.in`", "`.call`"),
    "object": (at("fil.life is Open"), "unknown object `fil`", "`file`"),
    "field": (at("file.lief is Open"), "unknown field of `file` `lief`", "`life`"),
    "value": (at("file.life is Opne"), "unknown value of `file.life` `Opne`", "`Open`"),
    "value-machine": (
        machine("Opne -> Closed on Close.call"),
        "unknown value of `file.life` `Opne`",
        "`Open`",
    ),
    "parameter": (at("Lenght > 0"), "unknown name `Lenght`", "`Length`"),
    "status": (on_return("status is STATUS_KO"), "unknown status `STATUS_KO`", "`STATUS_OK`"),
    "constant": (at("Length has BITS"), "unknown constant `BITS`", "`BIT`"),
    "party": (rule().replace("driver", "drivr"), "unknown party `drivr`", "`driver`"),
    "severity": (rule().replace("error", "fatal"), "unknown severity `fatal`", "`error`, `warning`"),
    "group-member": ("group G = Usee", "unknown function or callback `Usee`", "`Use`"),
    "parent": ("object a A of fil {}", "unknown object `fil`", "`file`"),
    "scope": (rule().replace("on file", "on fil"), "unknown object `fil`", "`file`"),
    "placeholder": (rule(more='message "{file.lief}"'), "unknown placeholder `{file.lief}`", "{file.life}"),
    "prelude": (rule(more='passes """\n%include Nope\n"""'), "unknown prelude `Nope`", None),
    # records, counters
    "phase-record": (rule("at Put.call require true"), "`Put` is a record and has no `.call`", "`.whole`"),
    "phase-whole": (rule("at Use.whole require true"), "`Use` is a function and has no `.whole`", "`.call`"),
    "record-returns": ("record R(in Ring: RING) : NTSTATUS", "`R` is a record and returns nothing", None),
    "record-out": ("record R(out Ring: RING)", "`R` is a record: all it has is `in`", None),
    "record-recorded": (
        "record R(in Ring: RING) { recorded when ring.hot is No }",
        "`R` is a record and has no `recorded when`",
        "declares it",
    ),
    "unordered": ("function F() unordered", "only a record can be unordered", None),
    "record-status": (
        rule("at Put.whole require succeeded").replace("on file", "on ring"),
        "`Put.whole` has no status",
        None,
    ),
    "record-latest": (
        rule("at Put.whole require latest").replace("on file", "on ring"),
        "`latest` has a meaning only at a return",
        None,
    ),
    "counter-set": ("set ring.puts = Bytes on Put.whole", "`ring.puts` is a counter", "use `add`"),
    "counter-add": ("add 1 to file.size on Use.call", "`file.size` is not a counter", "use `set`"),
    "counter-is-set": (
        rule("at Put.whole require ring.puts is set").replace("on file", "on ring"),
        "`ring.puts` is a counter and always set",
        "compare it",
    ),
    "any-named": ("machine ring.hot { * -> Yes on any Put.whole }", "names its `ring`", "leave out `any`"),
    "any-seen": ("machine ring.hot { seen Yes on any Close.call }", "nothing is seen of one", None),
    "any-own": (
        "machine ring.hot { * -> Yes on any Close.call when ring.hot is No }",
        "names no `ring`",
        None,
    ),
    # kinds of operands
    "number-field": (at("file.life == 3"), "`file.life` is not a number", "is VALUE"),
    "bare-enum": (at("file.life"), "`file.life` is not a boolean field", "None, Open, Closed"),
    "bare-number": (at("file.size"), "`file.size` is a number, not a condition", "is set"),
    "set-enum": (at("file.life is set"), "`file.life` is not a number field", None),
    "number-value": (at("file.size is Open"), "`file.size` is a number and has no named values", None),
    "param-value": (at("Length is Open"), "`Length` is a parameter, not a field", "=="),
    "mask": (at("Length has 0"), "a mask needs at least one bit", None),
    # where things are known
    "no-object": (at("other.f is A"), "`Use.call` names no `other`", "`file`"),
    "no-scope": (
        rule("at Quiet.call require true").replace("on file", "on other"),
        "names no `other`, which",
        None,
    ),
    "out": (rule("at Open.call require File"), "`File` has no value yet at `Open.call`", "`Open.ret`"),
    "return": (rule("at Size.call require Return"), "`Return` has no value yet", "`Size.ret`"),
    "no-status": (at("succeeded"), "`Use.call` has no status", "`.ret`"),
    "void-status": (rule("at Close.ret require failed"), "`Close` returns no status", "VOID"),
    "latest": (at("latest"), "`latest` has a meaning only at a return", None),
    "overlapped": (at("overlapped(Use)"), "`overlapped` has a meaning only at a return", None),
    "sometime": (at("sometime (true)"), "`sometime` has a meaning only at a return", None),
    "child": (at("no other of file with f is A"), "`other` is not a child of `file`", "no parent"),
    "child-condition": (
        at("no lock of file with file.wide"),
        "a condition on children tests one field",
        None,
    ),
    "end-each": (rule("at end require true"), "a check at the end names the objects", "at end each"),
    "end-args": (rule("at end each file require Length"), "`Length` is not known here", None),
    "each": (rule("at Use.call each other require true"), "`other` has no parent", None),
    "running": (at("running(Use)"), "`running` needs an object", "running(Use, OBJECT)"),
    "parent-guard": (
        "machine lock.held { * -> No on parent Close.call when lock.held is Yes }",
        "`Close.call` names no `lock`",
        None,
    ),
    "parent-hint": ("machine lock.held { * -> No on Close.call }", "names no `lock`", "on parent"),
    "neutral": (machine("Open -> Closed on Quiet.call"), "`Quiet` is declared neutral", "remove `neutral`"),
    "star": (
        machine("None, Open, Closed -> Open on Use.ret * -> same on Use.ret"),
        "`*` stands for no value",
        None,
    ),
    "recorded": ("callback C(in F: HFILE) { recorded when F }", "`F` is not known here", None),
    # duplicates and relations
    "twice-line": (
        machine("Open -> Open on Use.ret Open -> Open on Use.ret"),
        "this line stands twice",
        None,
    ),
    "twice-rule": (rule() + rule(), "rule `r-one` is declared twice", "demo.kmcl:20"),
    "twice-function": ("function Use(in A: B)", "function `Use` is declared twice", None),
    "twice-field": ("object a A { field f : bool field f : bool }", "field `f` is declared twice", None),
    "twice-machine": (machine("Open -> Open on Use.ret") * 2, "machine `file.life` is declared twice", None),
    "twice-text": (rule(more='fix "again"'), "`fix` is given twice", None),
    "two-handles": ("function Two(in A: HFILE, in B: HFILE)", "`A` and `B` are both a `file`", None),
    "yields": (rule(more="yields_to r-two"), "unknown rule `r-two`", "`r-one`"),
    "implied": (rule(more="implied_by nothing-like"), "unknown rule `nothing-like`", None),
    "cycle": (
        rule(more="yields_to r-two") + rule(more="yields_to r-one", name="r-two"),
        "rules yield to each other in a circle",
        "r-one -> r-two -> r-one",
    ),
    "missing": (
        rule().replace('fix "f"', "").replace('source "s"', ""),
        "rule `r-one` has no fix, no source",
        None,
    ),
    "no-check": (rule(check=""), "rule `r-one` has no check", None),
    "reserved": ("function F(in status: UINT32)", "`status` is a keyword and cannot name a parameter", None),
    "predicate-loop": ("predicate p = not p\n" + at("p"), "predicate `p` refers to itself", None),
    "prelude-loop": ('prelude P """\n%include P\n"""', "prelude `P` includes itself", None),
    "second-name": ("spec another", "a second name `another`", "`demo`"),
    "object-loop": ("object a A of b {}\nobject b B of a {}", "object `a` is its own ancestor", None),
    "no-handle-type": ("object a { }", "object `a` has no handle type", "thread"),
    "number-machine": (
        "machine file.size { * -> same on Use.call }",
        "is a number and has no machine",
        "`set`",
    ),
    "set-enum-field": (
        "set file.life = 1 on Use.call",
        "`file.life` is not a number field",
        "machine file.life",
    ),
    # syntax
    "keyword": (rule("at Use.call requires true"), "unexpected `requires`", "`require`"),
    "token": ("group G Use", "unexpected `Use`", "expected `=`"),
    "string": ('prelude P "abc', "this string is not closed", None),
    "text": ('prelude P """abc', "this text is not closed", '"""'),
    "character": ("constant C = $", "unexpected character `$`", "a number"),
    "early": ("group G =", "ends too early", "a name"),
    "declaration": ("specc x", "unexpected `specc`", "`spec`"),
}


@pytest.mark.parametrize("name", CASES)
def test_one_fault_one_message(name: str) -> None:
    text, message, help = CASES[name]
    found = [d for d in problems(text) if message in d.message]
    assert found, [d.render() for d in problems(text)]
    assert help is None or help in (found[0].help or ""), found[0].render()
    span = found[0].span
    assert span is not None
    assert (found[0].source_line or "").strip(), "the source line is shown"
    if name not in ("cycle", "object-loop"):
        assert len(problems(text)) == 1, [d.render() for d in problems(text)]


FIVE = """spec five
object file HFILE { field life : { None, Open } = None }
function Use(in File: HFILE) : NTSTATUS
function Broken(in File HFILE)
machine file.life { Opne -> Open on Use.ret }
rule a-b {
    driver error core
    on file
    statement "s"
    at Uze.call require file.life is Open
    consequence "c" fix "f" source "s"
}
rule c-d {
    driver error core
    on file
    statement "s"
    at Broken.call requir file.life is Open
    consequence "c" fix "f" source "s"
}
rule e-f {
    driver error core
    on file
    statement "s"
    at Use.call require succeeded
    consequence "c" fix "f" source "s"
}
"""


def test_five_errors_in_one_run(tmp_path: Path) -> None:
    path = tmp_path / "five.kmcl"
    path.write_text(FIVE, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_spec([path])
    diagnostics = caught.value.diagnostics
    assert [(d.span.line, d.span.column) for d in diagnostics if d.span] == [
        (4, 25),
        (5, 21),
        (10, 8),
        (17, 20),
        (24, 25),
    ]
    assert "did you mean `Open`?" in diagnostics[1].render()


def test_rendered() -> None:
    (found,) = problems(at("file.life is Opne"))
    assert found.render() == (
        "error: unknown value of `file.life` `Opne`\n"
        "  --> demo.kmcl:24:38\n"
        "  24 |     at Use.call require file.life is Opne\n"
        "     |                                      ^^^^\n"
        "  = help: did you mean `Open`?"
    )


def test_unclosed_text_does_not_hide_what_follows() -> None:
    text = rule(more='passes """ open') + rule("at Uze.call require true", 'passes """ok"""', "r-two")
    assert [d.message for d in problems(text)] == [
        "this text is not closed",
        "unknown function, callback or group `Uze`",
    ]


def test_errors_of_all_files() -> None:
    _, found = compile_spec(
        {"a.kmcl": BASE + at("Lenght"), "b.kmcl": rule("at Use.call require Lenght", name="b")}
    )
    assert [d.span.path for d in found if d.span] == ["a.kmcl", "b.kmcl"]


def test_same_spec_name_in_several_files() -> None:
    assert compile_spec({"a": BASE, "b": 'spec demo "Title"'})[1] == []


def test_no_spec_line() -> None:
    (found,) = compile_spec({"a": "constant A = 1"})[1]
    assert "no `spec` line" in found.message


def test_deep_nesting_is_an_error_and_not_a_crash() -> None:
    found = problems(at("not " * 5000 + "true"))
    assert [d.message for d in found] == ["this condition is nested too deeply"]
    assert problems(at("(" * 5000 + "true" + ")" * 5000)) == []


@pytest.mark.parametrize(
    "text", ["", "\n", "}", "rule", '"""', "spec \x00", "rule a {" * 50, "# only a comment"]
)
def test_garbage_never_raises(text: str) -> None:
    compile_spec({"a": text})
