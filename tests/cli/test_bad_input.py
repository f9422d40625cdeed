"""What a person sees who gives the checker something it cannot use: a clear word, and nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

HEAD = "%kmtrace 1\n%start known\n%end unloaded\n%records all\n"
BORN = "call VmbChannelAllocate tid=1 IsServer=1\nret VmbChannelAllocate tid=1 status=0 Channel=0x10\n"
ENABLE = "call VmbChannelEnable tid=1 Channel=0x10\nret VmbChannelEnable tid=1 status=0\n"
CLEANUP = "call VmbChannelCleanup tid=1 Channel=0x10\nret VmbChannelCleanup tid=1\n"
UNKNOWN = "call VmbChannelFrobnicate tid=1 Channel=0x10\nret VmbChannelFrobnicate tid=1\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone", None, ["gone.kmtrace", "no such file", "check the path"]),
        ("empty", b"", ["empty.kmtrace", "the file is empty", "capture"]),
        ("binary", bytes(range(256)) * 40, ["binary.kmtrace", "binary file", "%kmtrace 1"]),
        ("version", b"%kmtrace 9\n", ["version.kmtrace:1:1", "version 1", "'9'", "knows this version"]),
    ],
)
def test_file_that_cannot_be_read(
    run: Run, folder: Path, name: str, content: bytes | None, words: list[str]
) -> None:
    if content is not None:
        (folder / f"{name}.kmtrace").write_bytes(content)
    done = run("check", f"{name}.kmtrace")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_folder_without_traces(run: Run) -> None:
    done = run("check", "without")
    assert done.returncode == 2
    assert "without: no trace in this folder (looked for " in done.stderr
    assert "*.kmtrace" in done.stderr


def test_line_cut_in_half_costs_that_line_only(run: Run, folder: Path) -> None:
    (folder / "half.kmtrace").write_text(HEAD + BORN + ENABLE + CLEANUP + "call VmbChannelEnable tid=1 Chan")
    done = run("check", "half.kmtrace")
    assert done.returncode == 1
    assert "error[channel-cleanup-disabled]" in done.stdout
    assert "the file ends inside this line" in done.stdout
    assert "half.kmtrace: 1 event lost" in done.stdout


def test_line_of_ten_megabytes(run: Run, folder: Path) -> None:
    long = "call VmbChannelEnable tid=1 Note=" + "x" * 10_000_000 + "\n"
    (folder / "long.kmtrace").write_text(HEAD + BORN + ENABLE + CLEANUP + long + BORN)
    done = run("check", "long.kmtrace")
    assert done.returncode == 1
    assert "error[channel-cleanup-disabled]" in done.stdout
    assert "long.kmtrace:11" in done.stdout
    assert "longer than" in done.stdout
    assert len(done.stdout) < 5000


def test_unknown_function_is_counted_and_makes_its_objects_uncertain(run: Run, folder: Path) -> None:
    (folder / "sure.kmtrace").write_text(HEAD + BORN + ENABLE + CLEANUP)
    (folder / "unknown.kmtrace").write_text(HEAD + BORN + ENABLE + UNKNOWN + CLEANUP)
    assert "error[channel-cleanup-disabled]" in run("check", "sure.kmtrace").stdout
    done = run("check", "unknown.kmtrace", "--format", "json")
    document = json.loads(done.stdout)
    trace = document["traces"][0]
    assert done.returncode == 0
    assert trace["unknown_names"] == {"VmbChannelFrobnicate": 2}
    verdicts = {rule["id"]: rule for rule in trace["rules"]}
    assert verdicts["channel-cleanup-disabled"]["verdict"] == "open"
    assert verdicts["channel-cleanup-disabled"]["reason"] == "unknown functions were called"
    text = run("check", "unknown.kmtrace").stdout
    assert "names the specification does not know: VmbChannelFrobnicate (2 events)" in text


def test_unknown_argument_is_counted_and_changes_nothing(run: Run, folder: Path) -> None:
    odd = BORN + ENABLE.replace("Channel=0x10", "Channel=0x10 Speed=3") + CLEANUP
    (folder / "odd.kmtrace").write_text(HEAD + odd)
    done = run("check", "odd.kmtrace")
    assert "warning: odd.kmtrace: VmbChannelEnable has no parameter Speed (1 time)" in done.stdout
    assert "error[channel-cleanup-disabled]" in done.stdout


def test_status_name_that_does_not_exist_is_a_status_that_is_not_known(run: Run, folder: Path) -> None:
    odd = BORN + ENABLE.replace("status=0", "status=STATUS_WOBBLY") + CLEANUP
    (folder / "odd.kmtrace").write_text(HEAD + odd)
    done = run("check", "odd.kmtrace")
    # Had the call failed, the channel would be disabled.
    assert done.returncode == 0
    assert "channel-cleanup-disabled]" not in done.stdout
    assert "unknown status name 'STATUS_WOBBLY' (1 time)" in done.stdout


def test_specification_with_five_errors(run: Run, folder: Path) -> None:
    text = (folder / "demo.kmcl").read_text()
    for right, wrong in (
        ("Open -> Closed on", "Opne -> Closed on"),
        ("births file", "births fiel"),
        ("irql < 2", "irkl < 2"),
        ("driver error core", "driver eror core"),
        ("require file.life is Open", "require file.live is Open"),
    ):
        assert right in text
        text = text.replace(right, wrong)
    (folder / "five.kmcl").write_text(text)
    done = run("spec", "check", "five.kmcl")
    assert done.returncode == 2
    assert done.stderr.count("error: ") == 5
    for name in ("Open", "file", "irql", "error", "life"):
        assert f"did you mean `{name}`?" in done.stderr
    assert done.stderr.count("five.kmcl:") == 5
