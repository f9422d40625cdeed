"""``kmclcheck prove``: what it prints, and its exit codes."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import SPEC, Run

INVARIANTS = """
invariant read-while-open {
    on file
    statement "What is read is open."
    at FileRead.call require file.life is Open
    assuming file-read-open
    instances "A call names one file."
}
invariant closed-while-open {
    on file
    statement "What is closed is open."
    at FileClose.call require file.life is Open
    assuming file-read-open
}
"""


def _spec(tmp_path: Path) -> str:
    path = tmp_path / "demo.kmcl"
    path.write_text(SPEC + INVARIANTS)
    return str(path)


def test_proved(run: Run, tmp_path: Path) -> None:
    done = run("prove", "read-while-open", "--spec", _spec(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "read-while-open: proved" in done.stdout
    assert "by k-induction, k = 1" in done.stdout
    assert "within 1 object of each kind for each parent, 2 threads" in done.stdout
    assert "assuming file-read-open" in done.stdout
    assert "why these numbers do: A call names one file." in done.stdout
    assert "1 invariant: 1 proved, 0 failed, 0 open" in done.stdout


def test_failed_with_records(run: Run, tmp_path: Path) -> None:
    done = run("prove", "--spec", _spec(tmp_path))
    assert done.returncode == 1
    assert "closed-while-open: failed" in done.stdout
    assert "violated by 5 records that keep these rules:" in done.stdout
    assert "call FileClose tid=0x10 File=0x1010" in done.stdout
    assert "life Closed" in done.stdout
    assert "2 invariants: 1 proved, 1 failed, 0 open" in done.stdout


def test_without_a_rule(run: Run, tmp_path: Path) -> None:
    done = run("prove", "read-while-open", "--without", "file-read-open", "--spec", _spec(tmp_path))
    assert done.returncode == 1
    assert "assuming no rule" in done.stdout


def test_out_of_time_is_open(run: Run, tmp_path: Path) -> None:
    done = run("prove", "read-while-open", "--timeout", "0", "--spec", _spec(tmp_path))
    assert done.returncode == 3
    assert "read-while-open: open" in done.stdout
    assert "proved\n" not in done.stdout.split("1 invariant")[0]


def test_the_list(run: Run) -> None:
    done = run("prove", "--list")
    assert done.returncode == 0
    assert "no-delivery-after-suspend\n  Once Suspend has returned" in done.stdout


def test_names_that_do_not_exist(run: Run, tmp_path: Path) -> None:
    done = run("prove", "read-while-opened", "--spec", _spec(tmp_path))
    assert done.returncode == 2
    assert "did you mean read-while-open" in done.stderr
    done = run("prove", "--without", "file-read", "--spec", _spec(tmp_path))
    assert done.returncode == 2
    assert "unknown rule 'file-read'" in done.stderr
