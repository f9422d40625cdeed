"""The shim in C: compiled without a warning, run under a library that does little, and its traces checked.

Needs gcc and g++ for the programs, and mingw-w64 for compiling as for Windows; what is missing is skipped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from kmclcheck.capturekit import kit_files
from kmclcheck.model.event import ArgValue, End, Event, Loss, Start, TraceInfo
from kmclcheck.model.finding import TraceResult
from kmclcheck.traces import read_text
from kmclcheck.traces.etw import EtwReader, Record
from kmclcheck.traces.etw.builtin import builtin_mapping
from tests.support.checking import found, result_of
from tests.support.kit_c import Exercise, spec, write_headers

HERE = Path(__file__).resolve().parent
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion", "-Wundef", "-Wcast-qual"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
LINES, ETW = "-DKMCLTRACE_LINES", "-DETW"
DDK = Path("/usr/share/mingw-w64/include/ddk")
SECONDS = 120

Program = Callable[..., str]

# What a driver's source file looks like, with nothing around it.
UNIT = '#define KMCLTRACE_IMPLEMENTATION\n#include "kmcltrace.h"\n'
USER = (
    '#include "kmcltrace.h"\n'
    "BOOLEAN Use(KMCL_CLIENT_INTERFACE_V1 *Interface);\n"
    "BOOLEAN Use(KMCL_CLIENT_INTERFACE_V1 *Interface)\n"
    "{\n    return KmclTraceWrapClientInterface(Interface);\n}\n"
)

# Only one of them optimises, which finds a few more faults and takes time.
COMPILERS = {
    "gcc-c99": ("gcc", "-std=c99", "-Wstrict-prototypes", "-Wmissing-prototypes", "-fsyntax-only"),
    "gcc-c11": ("gcc", "-std=c11", "-Wstrict-prototypes", "-Wmissing-prototypes", "-O1"),
    "g++-c++11": ("g++", "-xc++", "-std=c++11", "-fsyntax-only"),
    "g++-c++20": ("g++", "-xc++", "-std=c++20"),
    "mingw-gcc-c11": ("x86_64-w64-mingw32-gcc", "-std=c11"),
    "mingw-g++-c++17": ("x86_64-w64-mingw32-g++", "-xc++", "-std=c++17"),
}


def need(compiler: str) -> str:
    """Return the path of a compiler, or skip the test."""
    path = shutil.which(compiler)
    if path is None:
        pytest.skip(f"{compiler} is not installed (Debian: gcc, g++, mingw-w64)")
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the kit of a driver named Echo, and what the programs need."""
    made = tmp_path_factory.mktemp("kit")
    for name, text in kit_files(spec(), "Echo").items():
        (made / name).write_text(text, encoding="utf-8")
    write_headers(made)
    (made / "exercise.c").write_text(Exercise().text, encoding="ascii")
    (made / "unit.c").write_text(UNIT)
    (made / "user.c").write_text(USER)
    return made


def compile_(folder: Path, *arguments: str) -> None:
    includes = [f"-I{folder}", f"-I{HERE}"]
    done = subprocess.run(
        [*arguments, *includes], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[:4000]


@pytest.fixture(scope="session")
def program(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Return a function that builds a program and gives what it prints."""
    compiler = need("gcc")
    # What one worker of pytest has built, the others take.
    built = tmp_path_factory.getbasetemp().parent / "capture-kit-programs"
    built.mkdir(exist_ok=True)

    @cache
    def build(source: str, *options: str) -> Path:
        target = built / "-".join([source, *options]).replace("=", "-")
        path = HERE / f"{source}.c" if (HERE / f"{source}.c").is_file() else folder / f"{source}.c"
        if not target.is_file():
            own = folder / target.name
            compile_(
                folder, compiler, "-std=c11", "-g", *WARNINGS, *SANITIZERS, *options,
                f"-I{HERE / 'include'}", str(path), "-o", str(own), "-pthread",
            )  # fmt: skip
            own.replace(target)
        return target

    def run(source: str, *words: str, options: tuple[str, ...] = (LINES,)) -> str:
        done = subprocess.run(
            [build(source, *options), *words], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.mark.parametrize("back_end", [LINES, ETW])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_it_compiles_without_a_warning(folder: Path, compiler: str, back_end: str) -> None:
    name, *options = COMPILERS[compiler]
    compile_(
        folder, need(name), *options, *WARNINGS, back_end, f"-I{HERE / 'include'}", "-c", "unit.c",
        "-o", f"{compiler}{back_end}.o",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("unit", ("-DKMCLTRACE_OFF",)),
        ("unit", ("-DKMCLTRACE_OFF", LINES)),
        ("unit", ("-DKMCLTRACE_NO_SERVER",)),
        ("unit", ("-DKMCLTRACE_NO_OWN_REGISTRATION", LINES)),
        ("user", ()),
        ("user", ("-DKMCLTRACE_OFF",)),
    ],
)
def test_switches_compile(folder: Path, source: str, options: tuple[str, ...]) -> None:
    target = folder / f"{source}{''.join(options)}.o"
    compile_(
        folder, need("gcc"), "-std=c11", *WARNINGS, *options, f"-I{HERE / 'include'}", "-c",
        f"{source}.c", "-o", str(target),
    )  # fmt: skip


def test_off_leaves_nothing_behind(folder: Path) -> None:
    for options in (("-DKMCLTRACE_OFF",), ("-DKMCLTRACE_OFF", LINES)):
        done = subprocess.run(
            [need("gcc"), "-E", "-P", *options, f"-I{folder}", f"-I{HERE / 'include'}", "unit.c"],
            cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=True,
        )  # fmt: skip
        assert "KmclTrace" not in done.stdout


@pytest.mark.parametrize("back_end", [LINES, ETW])
def test_it_compiles_with_kernel_headers(folder: Path, back_end: str) -> None:
    """mingw-w64 brings headers of the Windows kernel; KMCL and TraceLogging are not among them."""
    compiler = need("x86_64-w64-mingw32-gcc")
    if not DDK.is_dir():
        pytest.skip(f"no kernel headers in {DDK}")
    only = folder / "tracelogging"
    only.mkdir(exist_ok=True)
    shutil.copy(HERE / "include" / "TraceLoggingProvider.h", only)
    (folder / "kernel.c").write_text(
        f"#include <ntddk.h>\n#ifndef FORCEINLINE\n#define FORCEINLINE static __inline__\n#endif\n{UNIT}"
    )
    compile_(
        folder, compiler, "-std=gnu11", *WARNINGS[:3], back_end, f"-I{only}", "-isystem", str(DDK),
        "-c", "kernel.c", "-o", f"kernel{back_end}.o",
    )  # fmt: skip


def events_of_lines(text: str) -> list[Event]:
    reader = read_text(text)
    items = list(reader)
    assert reader.problems == []
    assert all(isinstance(item, Event) for item in items)
    return [item for item in items if isinstance(item, Event)]


def etw_reader(text: str) -> EtwReader:
    """Read the text of the TraceLogging stand-in as Windows events."""
    records = []
    for line in text.splitlines():
        made = json.loads(line)
        made["fields"].pop("")
        records.append(Record(made["provider"], "", made["event"], made["fields"], pid=4, tid=made["tid"]))
    return EtwReader(TraceInfo(), builtin_mapping(), iter(records), lambda: 0)


def events_of_etw(text: str) -> list[Event]:
    reader = etw_reader(text)
    items = list(reader)
    assert not reader.unmapped
    assert reader.info.start is Start.KNOWN
    assert reader.info.end is End.UNLOADED
    assert reader.info.records_all
    return [item for item in items if isinstance(item, Event)]


@pytest.mark.parametrize("back_end", [LINES, ETW])
def test_everything_is_recorded_with_all_its_parameters(program: Program, back_end: str) -> None:
    """Every function and callback once; the program itself checks that all arguments arrive."""
    text = program("exercise", options=(back_end,))
    events = events_of_lines(text) if back_end == LINES else events_of_etw(text)
    exercise = Exercise()
    assert [(e.name, e.phase.value) for e in events] == [(x.name, x.phase) for x in exercise.expected]
    for event, expected in zip(events, exercise.expected, strict=True):
        # An address that the test cannot know counts as -1; it is not zero.
        args: dict[str, ArgValue] = {
            k: -1 if expected.args.get(k) == -1 and event.args[k] != 0 else event.args[k] for k in event.args
        }
        assert (event.name, args, event.status) == (expected.name, expected.args, expected.status)
        assert (event.endpoint, event.irql, event.tid, event.pid) == ("Echo", 0, 4, 4)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))


def check(text: str) -> TraceResult:
    """Check a trace that claims to be whole."""
    reader = read_text(text)
    list(reader)
    assert (reader.info.start, reader.info.end) == (Start.KNOWN, End.UNLOADED)
    assert reader.info.records_all
    return result_of(text)


def test_a_conforming_driver(program: Program) -> None:
    text = program("driver", "conforming")
    assert found(check(text)) == []
    assert not any(isinstance(item, Loss) for item in read_text(text))
    names = {(e.name, e.phase.value) for e in events_of_lines(text)}
    # Slots that the driver left empty, and those of a channel without any registration.
    assert ("EvtVmbChannelSuspend", "out") in names
    assert {"EvtVmbChannelSavePacket", "EvtVmbChannelRestorePacket"} <= {name for name, _ in names}


def test_nested_callbacks_stand_inside_the_call(program: Program) -> None:
    events = [e for e in events_of_lines(program("driver", "conforming")) if e.tid == 4]
    names = [f"{e.name}.{e.phase.value}" for e in events]
    started = names.index("EvtVmbChannelPostStarted.in")
    assert names.index("VmbChannelSendSynchronousRequest.call", started) == started + 1
    opened = names.index("EvtVmbChannelOpened.in")
    assert names[opened - 1] == "VmbChannelEnable.call"
    assert names.index("VmbChannelEnable.ret", opened) > names.index("EvtVmbChannelPostStarted.out")


def test_a_channel_without_callbacks_gets_the_shims_own(program: Program) -> None:
    events = events_of_lines(program("driver", "conforming"))
    allocated = [
        e.args["Channel"] for e in events if (e.name, e.phase.value) == ("VmbChannelAllocate", "ret")
    ]
    registered = [
        e.seq for e in events
        if e.name == "VmbChannelInitSetStateChangeCallbacks" and e.args.get("Channel") == allocated[1]
        and e.phase.value == "call"
    ]  # fmt: skip
    enabled = [e.seq for e in events if e.name == "VmbChannelEnable" and e.args["Channel"] == allocated[1]]
    assert registered
    assert isinstance(registered[0], int)
    assert enabled[0] == registered[0] + 2
    # One that is never enabled gets none.
    assert [e.name for e in events if e.args.get("Channel") == allocated[3]][-3:] == [
        "VmbChannelAllocate", "VmbChannelCleanup", "VmbChannelCleanup",
    ]  # fmt: skip


def test_what_a_failed_call_did_not_fill_in_is_not_recorded(program: Program) -> None:
    text = program("driver", "failures")
    assert found(check(text)) == []
    back = {(e.name, e.status): e.args for e in events_of_lines(text) if e.phase.value == "ret"}
    assert back["VmbChannelAllocate", 0xC0000001] == {"Channel": 0}
    assert back["VmbChannelCreateGpadlFromBuffer", 0xC0000001]["GpadlHandle"] == 0
    assert f"{0x5A5A5A5A:#x}" not in text
    assert str(0x5A5A5A5A) not in text


@pytest.mark.parametrize(
    ("driver", "rule"),
    [
        ("double-complete", "incoming-complete-once"),
        ("cleanup-while-enabled", "channel-cleanup-disabled"),
        ("packet-leaked", "packet-freed-eventually"),
    ],
)
def test_a_faulty_driver(program: Program, driver: str, rule: str) -> None:
    result = check(program("driver", driver))
    assert [rule for rule, _, _ in found(result)] == [rule]


def test_two_threads_have_one_order(program: Program) -> None:
    text = program("driver", "threads")
    assert found(check(text)) == []
    events = events_of_lines(text)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    both = [e.tid for e in events if e.tid in (0x14, 0x18)]
    assert len(both) == 2 * 1000 * 6


@pytest.mark.parametrize("driver", ["conforming", "double-complete", "packet-leaked"])
def test_both_back_ends_tell_the_same(program: Program, driver: str) -> None:

    def shape(events: list[Event]) -> list[tuple[object, ...]]:
        # Addresses differ from run to run; small numbers do not.
        return [
            (e.seq, e.name, e.phase, e.tid, e.irql, e.status,
             {k: v for k, v in e.args.items() if isinstance(v, str) or v < 1 << 20}, sorted(e.args))
            for e in events
        ]  # fmt: skip

    lines = events_of_lines(program("driver", driver))
    etw = events_of_etw(program("driver", driver, options=(ETW,)))
    assert shape(lines) == shape(etw)


SMALL = (LINES, "-DKMCLTRACE_SLOTS=1")


def dense(text: str) -> str:
    """Return a trace with its numbers closed up and no word of what is missing."""
    lines, number = [], 0
    for line in text.splitlines():
        if line[0].isdigit():
            number += 1
            line = f"{number} {line.split(' ', 1)[1]}"
        if not line.startswith(("#", "%lost")):
            lines.append(line)
    return "\n".join([*lines, ""])


def test_more_callbacks_than_there_is_room_for(program: Program) -> None:
    """The driver works as ever, the trace says that events are missing, and no false alarm follows."""
    text = program("driver", "overflow", options=SMALL)
    assert "more than KMCLTRACE_SLOTS functions for EvtVmbChannelProcessPacket" in text
    assert found(check(text)) == []
    assert found(check(dense(text))) != []  # so it is the gaps that keep the checker from an alarm
    # With room enough nothing is missing.
    assert found(check(program("driver", "overflow"))) == []
    assert "missing" not in program("driver", "overflow")


@pytest.mark.parametrize("driver", ["other-version", "other-library"])
def test_what_the_shim_does_not_know_makes_holes(program: Program, driver: str) -> None:
    text = program("driver", driver)
    assert "# events are missing from here on" in text
    assert any(isinstance(item, Loss) for item in read_text(text))
    assert found(check(text)) == []
    reader = etw_reader(program("driver", driver, options=(ETW,)))
    assert any(isinstance(item, Loss) for item in reader)
    assert not reader.unmapped
    # The end of such a trace decides nothing.
    assert reader.info.end is End.STOPPED


def test_records_that_nobody_takes_leave_a_gap(program: Program) -> None:
    items = list(etw_reader(program("driver", "nobody-listens", options=(ETW,))))
    assert [item.count for item in items if isinstance(item, Loss)] == [2]
