"""The README shows what the program says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOUR = re.findall(
    r"<!-- tour -->\n```console\n\$ kmclcheck ([^\n]*)\n(.*?)```\n<!-- /tour -->",
    (ROOT / "README.md").read_text(encoding="utf-8"),
    re.DOTALL,
)


def _plain(text: str) -> str:
    """Return the text without what changes from run to run."""
    return re.sub(r"in [0-9.]+ s$", "in 0.0 s", text, flags=re.MULTILINE).rstrip("\n")


def test_there_is_a_tour() -> None:
    assert len(TOUR) == 4


@pytest.mark.parametrize(("command", "shown"), TOUR, ids=[command for command, _ in TOUR])
def test_tour_is_what_the_program_prints(command: str, shown: str) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KMCLCHECK_", "NO_COLOR", "FORCE_"))}
    kept |= {"PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "kmclcheck", *shlex.split(command)], cwd=ROOT, env=kept,
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    expected, printed = _plain(shown), _plain(done.stdout)
    if expected.endswith("\n..."):
        expected = expected.removesuffix("...")
        printed = printed[: len(expected)]
    assert printed == expected
