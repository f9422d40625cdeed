"""A small specification, traces for it, and a way to run the command line on them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SPEC = """
spec demo "Demonstration"
status STATUS_SUCCESS = 0x00000000
object file HANDLE {
    field life : { None, Open, Closed } = None dead { Closed } absent { None }
}
object thread { field marked : bool = false }
function FileOpen(out File: HANDLE) : NTSTATUS { role either  interface "v1" }
function FileRead(in File: HANDLE) : NTSTATUS { role either  interface "v1" }
function FileClose(in File: HANDLE) { role either  interface "v1" }
machine file.life {
    None -> Open on FileOpen.ret when succeeded
    Open -> Closed on FileClose.ret
}
births file {
    on FileOpen.ret when succeeded
}
rule file-read-open {
    driver error core
    on file
    statement "FileRead is called only on an open file."
    at FileRead.call require file.life is Open
    message "{event} on a file that is {file.life}"
    needs "Open"
    consequence "the handle may name another file"
    fix "Read before you close."
    source "the manual"
}
rule file-read-low {
    driver warning extended
    on thread
    statement "FileRead is called below DISPATCH_LEVEL."
    at FileRead.call require irql < 2
    consequence "a hang"
    fix "Use a work item."
    source "the manual"
}
"""

OPEN = "call FileOpen tid=1\nret FileOpen tid=1 File=0x10 status=STATUS_SUCCESS\n"
READ = "call FileRead tid=1 File=0x10\nret FileRead tid=1 File=0x10 status=STATUS_SUCCESS\n"
CLOSE = "call FileClose tid=1 File=0x10\nret FileClose tid=1 File=0x10\n"
HEAD = "%kmtrace 1\n%start known\n%end stopped\n%records all\n"

TRACES = {
    "good.kmtrace": HEAD + OPEN + READ + CLOSE,
    "bad.kmtrace": HEAD + OPEN + CLOSE + READ,
    "midlife.kmtrace": HEAD.replace("known", "midlife") + READ,
    "none.kmtrace": HEAD + OPEN,
    "broken.kmtrace": "no trace at all\n",
    "empty.kmtrace": "",
}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "demo.kmcl").write_text(SPEC)
    (tmp_path / "without").mkdir()
    for name, text in TRACES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Run ``kmclcheck`` in the folder; nothing of the caller's settings gets through."""

    def call(
        *args: str, stdin: str = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KMCLCHECK_", "NO_COLOR", "FORCE_"))}
        kept |= {"PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8", **(env or {})}
        command = [sys.executable, "-m", "kmclcheck", *args]
        return subprocess.run(
            command, cwd=folder, env=kept, input=stdin, capture_output=True, text=True, encoding="utf-8",
            timeout=120, check=False,
        )  # fmt: skip

    return call


@pytest.fixture
def check(run: Run) -> Run:
    """Run ``kmclcheck check`` with the small specification."""

    def call(*args: str, **more: object) -> subprocess.CompletedProcess[str]:
        return run("check", "--spec", "demo.kmcl", *args, **more)

    return call
