"""Runs models in SPIN: generate the verifier, compile it, search breadth first, replay the trail."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# Compiling takes longer than the search, so nothing is optimised.
FLAGS = ("-O0", "-w", "-DSAFETY", "-DBFS", "-DNOREDUCE")
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a search: the states that were stored, and the printed trail if an assertion failed."""

    states: int
    steps: int
    trail: str | None
    seconds: float
    compiling: float

    @property
    def violated(self) -> bool:
        return self.trail is not None


def compiler() -> str | None:
    """Return a C compiler of this machine."""
    return shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")


def missing() -> str:
    """Return what SPIN needs and this machine lacks, in words; empty if nothing."""
    needed = {"spin": shutil.which("spin"), "a C compiler": compiler()}
    return " and ".join(name for name, path in needed.items() if path is None)


def search(text: str, folder: Path) -> Run:
    """Search all states of a model, or until a shortest violation is found.

    Raises RuntimeError if SPIN or the compiler rejects the model, or the search was not complete.
    """
    (folder / "model.pml").write_text(text, encoding="utf-8")
    started = time.perf_counter()
    said = _run(["spin", "-a", "model.pml"], folder)
    if "rror" in said or "warning" in said:
        raise RuntimeError(said)
    _run([compiler() or "cc", *FLAGS, "-o", "pan", "pan.c"], folder)
    compiled = time.perf_counter()
    said = _run([str(folder / "pan")], folder)
    searched = time.perf_counter()
    stored = re.search(r"(\d+) states, stored", said)
    errors = re.search(r"errors: (\d+)", said)
    if stored is None or errors is None or ("not completed" in said) is (errors[1] == "0"):
        raise RuntimeError(said)
    trail, steps = None, 0
    if errors[1] != "0":
        if "assertion violated" not in said:
            raise RuntimeError(said)
        trail = _run(["spin", "-T", "-t", "model.pml"], folder, (0, 1))
        ended = re.search(r"trail ends after (\d+) steps", trail)
        if ended is None:
            raise RuntimeError(trail)
        steps = int(ended[1])
    return Run(int(stored[1]), steps, trail, searched - compiled, compiled - started)


def _run(command: list[str], folder: Path, good: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode not in good:
        raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr
