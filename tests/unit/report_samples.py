"""A small specification and a run over it, made by hand, for tests of the renderers."""

from __future__ import annotations

from kmclcheck.model.event import Event, Phase
from kmclcheck.model.expr import FieldIn, Truth
from kmclcheck.model.finding import Finding, HistoryStep, ObjectRef, Slice, TraceResult, Verdict, VerdictKind
from kmclcheck.model.spec import Check, EnumField, ObjectKind, Party, Profile, Rule, Severity, Spec
from kmclcheck.report import InputFailure, ReportOptions, RunResult, ToolInfo

CHANNEL = 0xFFFFBC8012340000


def make_rule(name: str, severity: Severity = Severity.ERROR, party: Party = Party.DRIVER) -> Rule:
    require = FieldIn("channel", "life", frozenset({"Disabled"}))
    check = Check(("VmbChannelCleanup", Phase.CALL), Truth(True), require, "channel")
    return Rule(
        id=name,
        statement="VmbChannelCleanup is called only while the channel is Disabled.",
        party=party,
        severity=severity,
        profile=Profile.CORE,
        scope="channel",
        checks=(check,),
        message="{event} on a channel that is still {channel.life}",
        requirement="Disabled",
        consequence="tear-down of a channel the bus still uses",
        fix="call VmbChannelDisable and let it return before VmbChannelCleanup",
        sources=("P:FN_VMB_CHANNEL_CLEANUP",),
        implied_by=(),
        yields_to=(),
        examples=(),
    )


def make_spec() -> Spec:
    life = EnumField("life", ("None", "Disabled", "Enabled"), "None")
    window = EnumField("window", ("false", "true"), "false", boolean=True)
    kind = ObjectKind("channel", "VMBCHANNEL", None, False, {"life": life, "window": window}, {}, ())
    rules = [
        make_rule("channel-cleanup-disabled"),
        make_rule("channel-quiet", Severity.WARNING, Party.LIBRARY),
        make_rule("channel-irql"),
        make_rule("channel-idle"),
    ]
    return Spec(
        name="demo",
        title="Demonstration",
        statuses={"STATUS_UNSUCCESSFUL": 0xC0000001},
        constants={},
        kinds={"channel": kind},
        events={},
        machines={},
        assignments=(),
        rules={r.id: r for r in rules},
    )


def event(line: int, name: str, phase: Phase = Phase.CALL, **facts: int) -> Event:
    return Event(name, phase, {"Channel": CHANNEL}, line=line, offset=line * 40, **facts)


def make_finding() -> Finding:
    fault = event(1042, "VmbChannelCleanup", time=12_481_000, pid=4, tid=0x1A4, seq=1040, cpu=2, irql=0)
    history = (
        HistoryStep(
            event(998, "VmbChannelAllocate", Phase.RET, status=0), {"life": "None"}, {"life": "Disabled"}
        ),
        HistoryStep(event(1001, "VmbChannelEnable"), {"life": "Disabled"}, {"life": "Enabled"}),
        HistoryStep(
            event(1003, "VmbChannelEnable", Phase.RET, status=-0x3FFFFFFF),
            {"window": "false"},
            {"window": "true"},
        ),
        HistoryStep(fault, {"life": "Enabled"}, {"life": "None"}),
    )
    return Finding(
        rule="channel-cleanup-disabled",
        event=fault,
        object=ObjectRef("channel", CHANNEL, 1),
        parent=None,
        also_broken=("channel-quiet",),
        actual="VmbChannelCleanup on a channel that is still Enabled",
        required="Disabled",
        history=history,
        slice=Slice(tuple(step.event for step in history), replayed=True, reduced=True),
        repeats=2,
        index=0,
    )


def make_end_finding() -> Finding:
    return Finding(
        rule="channel-quiet",
        event=None,
        object=ObjectRef("channel", 0x20, 2, "guest"),
        parent=ObjectRef("channel", CHANNEL, 1),
        holders=tuple(ObjectRef("channel", n, 1) for n in range(0x30, 0x35)),
        hung_call=event(700, "VmbChannelDisable"),
        history=(HistoryStep(event(600, "VmbChannelEnable"), {"life": "None"}, {"life": "Enabled"}),),
        history_note="40 earlier events of this object were not kept",
        slice=Slice((event(600, "VmbChannelEnable"),), replayed=False, reduced=False, note="time ran out"),
        index=1,
    )


def make_trace(path: str = "capture.kmtrace") -> TraceResult:
    return TraceResult(
        path=path,
        format="kmtrace",
        start="known",
        end="hung",
        events=12408,
        lost=3,
        unknown_names={"VmbNew": 2, "VmbOther": 1},
        unmapped={"Contoso.Driver/Tick": 12},
        verdicts=[
            Verdict("channel-quiet", VerdictKind.FAIL, 3, 0, ""),
            Verdict("channel-cleanup-disabled", VerdictKind.FAIL, 1, 0, ""),
            Verdict("channel-irql", VerdictKind.OPEN, 0, 4, "no IRQL in the trace"),
            Verdict("channel-idle", VerdictKind.NOT_EXERCISED, 0, 0, ""),
        ],
        findings=[make_end_finding(), make_finding()],
        problems=["warning: expected a phase\n  --> capture.kmtrace:9:3\n  9 | bad line\n    | ^^^"],
        seconds=0.12,
    )


def make_run(
    *traces: TraceResult, verbose: bool = False, failures: tuple[InputFailure, ...] = ()
) -> RunResult:
    tool = ToolInfo("kmclcheck", "0.0.0", "demo", "Demonstration")
    return RunResult(list(traces) or [make_trace()], tool, ReportOptions(verbose=verbose), failures)
