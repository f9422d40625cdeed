"""What a person sees who gives the checker a log."""

from __future__ import annotations

import json
from pathlib import Path
from struct import pack

import pytest

from kmclcheck.traces.etw.etl.schema import In
from tests.cli.conftest import Run
from tests.support.etl import FIRST_BUFFER, Put, log, logging, message, patched

CHANNEL = [b"File\0" + bytes([In.HEX64])]
NUMBERED = [b"Seq\0" + bytes([In.UINT64]), *CHANNEL]


def call(name: str, seq: int) -> Put:
    time = 10 * seq
    return Put(time, logging(name, NUMBERED, pack("<QQ", seq, 0x10), time), seq % 2)


def life(*names: str) -> list[Put]:
    calls = [call(name, seq) for seq, name in enumerate(names, 1)]
    return [Put(0, logging("DriverLoaded", time=0)), *calls]


BROKEN = life("FileClose.call", "FileClose.ret", "FileRead.call", "FileRead.ret")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (log(Put(0, message(0)), Put(1, message(1))), ["only WPP messages (2)", "tracefmt", "-i DRIVER.sys"]),
        (log()[:100], ["inside the header of the log", "copied to its end"]),
        (patched(log(), (0, "I", 0)), ["first buffer makes no sense"]),
        (b"", ["the file is empty"]),
    ],
)
def test_logs_that_cannot_be_read(run: Run, folder: Path, data: bytes, words: list[str]) -> None:
    (folder / "bad.etl").write_bytes(data)
    done = run("check", "bad.etl")
    assert done.returncode == 2
    assert done.stderr.startswith("error: bad.etl: ")
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_is_checked(run: Run, folder: Path) -> None:
    (folder / "driver.etl").write_bytes(log(*BROKEN))
    done = run("check", "driver.etl", "--spec", "demo.kmcl", "--format", "json")
    (trace,) = json.loads(done.stdout)["traces"]
    assert (trace["format"], trace["start"], trace["events"]) == ("etl", "known", 4)
    assert done.returncode == 1


def test_a_damaged_buffer_is_told_and_makes_the_verdict_open(run: Run, folder: Path) -> None:
    data = log(*BROKEN)
    (folder / "cut.etl").write_bytes(data[: FIRST_BUFFER + 1024 + 300])
    done = run("check", "cut.etl")
    assert f"warning: cut.etl: byte {FIRST_BUFFER + 1024}: the file ends inside a buffer" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_folder_with_a_log(run: Run, folder: Path) -> None:
    (folder / "logs").mkdir()
    (folder / "logs" / "driver.ETL").write_bytes(log(*BROKEN))
    assert run("check", "logs", "--spec", "demo.kmcl").returncode == 1
