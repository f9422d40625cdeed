"""The commands besides ``check``, settings, and what happens when something goes wrong."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import click
import pytest

from kmclcheck.cli import main as entry
from kmclcheck.cli.config import find_config
from kmclcheck.cli.progress import Progress
from kmclcheck.diagnostics import InputError
from tests.cli.conftest import Run


def test_help_imports_little(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "Check traces against the rules." in done.stdout
    code = (
        "import sys; from kmclcheck.cli.main import run; run(['--help']); "
        "heavy = {'lark', 'rich', 'networkx', 'kmclcheck.model', 'kmclcheck.report'}; "
        "sys.exit(str(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "set()\n"


def test_version(run: Run) -> None:
    assert run("--version").stdout.startswith("kmclcheck, version ")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["chekc"], "did you mean check?"),
        (["explain", "file-read-opn", "--spec", "demo.kmcl"], "did you mean file-read-open"),
        (["spec", "show", "file.lief", "--spec", "demo.kmcl"], "did you mean file.life"),
        (["spec", "check", "gone.kmcl"], "gone.kmcl"),
    ],
)
def test_mistakes(run: Run, args: list[str], text: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_profile_without_rules_is_not_a_success(run: Run, folder: Path) -> None:
    (folder / "bare.kmcl").write_text(
        'spec bare "Nothing yet"\nobject thread { field marked : bool = false }\n'
    )
    done = run("check", "--spec", "bare.kmcl", "good.kmtrace")
    assert done.returncode == 2
    assert "the specification bare has no rule of the profile 'core' yet" in done.stderr


def test_explain(run: Run) -> None:
    done = run("explain", "file-read-open", "--spec", "demo.kmcl")
    assert done.returncode == 0
    assert not done.stderr
    for text in (
        "FileRead is called only on an open file.",
        "severity    error",
        "kept by     driver",
        "applies to  FileRead.call",
        "require file.life is Open",
        "the handle may name another file",
        "Read before you close.",
        "the manual",
    ):
        assert text in done.stdout


def test_explain_lists_the_rules(run: Run) -> None:
    done = run("explain", "--spec", "demo.kmcl")
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")] == [
        "file-read-open",
        "file-read-low",
    ]


def test_spec_check_and_show(run: Run, folder: Path) -> None:
    done = run("spec", "check", "demo.kmcl")
    assert (done.returncode, done.stdout) == (
        0,
        "demo: 2 objects, 3 events, 1 machine, 2 rules; 0 warnings\n",
    )
    assert "rule file-read-open {" in run("spec", "show", "file-read-open", "--spec", "demo.kmcl").stdout
    assert "machine file.life {" in run("spec", "show", "file.life", "--spec", "demo.kmcl").stdout
    (folder / "wrong.kmcl").write_text('spec x "X"\nrule {\n')
    done = run("spec", "check", "wrong.kmcl")
    assert done.returncode == 2
    assert "wrong.kmcl:2" in done.stderr


def test_bundled_specification(run: Run) -> None:
    assert run("spec", "check", "kmcl").returncode == 0
    assert "VmbChannelCleanup" in run("explain", "channel-cleanup-disabled").stdout


def test_settings_flag_over_environment_over_file(run: Run, folder: Path) -> None:
    (folder / "kmclcheck.toml").write_text('spec = ["./demo.kmcl"]\nfail-on = "never"\nquiet = true\n')
    assert run("check", "bad.kmtrace").returncode == 0
    assert run("check", "bad.kmtrace", env={"KMCLCHECK_FAIL_ON": "error"}).returncode == 1
    done = run("check", "bad.kmtrace", "--fail-on", "never", env={"KMCLCHECK_FAIL_ON": "error"})
    assert done.returncode == 0
    shown = run("check", "--show-config", "--strict", env={"KMCLCHECK_FORMAT": "json"}).stdout
    rows = {line.split(" = ")[0]: line for line in shown.splitlines()}
    assert rows["fail-on"].startswith('fail-on = "never"')
    assert rows["fail-on"].endswith("kmclcheck.toml")
    assert rows["format"].endswith("# environment, KMCLCHECK_FORMAT")
    assert rows["strict"].endswith("# command line")
    assert rows["profile"].endswith("# default")


def test_unknown_setting_gets_the_nearest_name(run: Run, folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.kmclcheck]\nfail-no = "never"\nstrict = "yes"\n')
    done = run("check", "good.kmtrace")
    assert done.returncode == 2
    assert "unknown setting 'fail-no'; did you mean fail-on" in done.stderr
    assert "setting 'strict' has to be true or false" in done.stderr
    assert "pyproject.toml:2:1" in done.stderr


def test_nearest_settings_file_upward_counts(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "kmclcheck.toml").write_text("strict = true\n")
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert find_config(below).values == {"strict": True}
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.kmclcheck]\nquiet = true\n")
    assert find_config(below).values == {"quiet": True}
    (below / "kmclcheck.toml").write_text("x = \n")
    with pytest.raises(InputError, match="not valid TOML"):
        find_config(below)


def failing(error: BaseException) -> object:
    def call(**_: object) -> None:
        raise error

    return call


@pytest.mark.parametrize("debug", [False, True])
def test_internal_error_has_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], debug: bool
) -> None:
    monkeypatch.setattr(entry.cli, "main", failing(RuntimeError("odd \x1b[31m")))
    monkeypatch.setenv("KMCLCHECK_DEBUG", "1" if debug else "")
    assert entry.run([]) == 2
    text = capsys.readouterr().err
    assert "please report it" in text
    assert ("Traceback" in text) is debug


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    monkeypatch.setattr(entry.cli, "main", failing(error))
    assert entry.run([]) == 2
    assert capsys.readouterr().err == "interrupted\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "elapsed", "shown"), [
    (Terminal(), 2.0, True), (Terminal(), 0.5, False), (io.StringIO(), 2.0, False),
])  # fmt: skip
def test_progress_only_for_people_and_only_after_a_second(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, elapsed: float, shown: bool
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stderr", stream)
    progress = Progress()
    progress.begin("big.kmtrace")
    now[0] += elapsed
    progress(3000, 2_000_000, 1)
    assert bool(stream.getvalue()) is shown
    if shown:
        assert "big.kmtrace: 2.0 MB, 1,500 events/s, 1 finding" in stream.getvalue()
        progress.clear()
        assert stream.getvalue().endswith("\r")
