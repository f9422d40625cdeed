"""``kmclcheck convert`` and mappings on the command line, end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

HEADER = "%kmtrace 1\n%start known\n%end unloaded\n%records all\n"
TRACE = HEADER + (
    "1 100 0 4.8 0 call VmbChannelAllocate IsServer=0\n"
    "2 200 0 4.8 0 ret VmbChannelAllocate Channel=0xffff80001000 status=0\n"
    "%lost 2\n"
    "3 300 0 4.8 0 call VmbChannelCleanup Channel=0xffff80001000\n"
    "4 400 0 4.8 0 ret VmbChannelCleanup\n"
)


def test_native_to_native(folder: Path, run: Run) -> None:
    (folder / "in.kmtrace").write_text(TRACE)
    done = run("convert", "in.kmtrace", "out.kmtrace")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "out.kmtrace: 4 events\n"
    assert (folder / "out.kmtrace").read_text() == TRACE
    assert run("convert", "in.kmtrace", "-", "--to", "kmtrace").stdout == TRACE
    assert run("convert", "-", "-", "--to", "kmtrace", "--end", "hung", stdin=TRACE).stdout == TRACE.replace(
        "%end unloaded", "%end hung"
    )


def test_a_file_may_be_converted_in_place(folder: Path, run: Run) -> None:
    (folder / "in.kmtrace").write_text(TRACE.replace("%lost 2\n", "# remark\n%lost 2\n"))
    assert run("convert", "in.kmtrace", "in.kmtrace").returncode == 0
    assert (folder / "in.kmtrace").read_text() == TRACE


def test_what_could_not_be_read_is_a_loss(run: Run) -> None:
    done = run("convert", "-", "-", "--to", "kmtrace", stdin=TRACE.replace("4 400 0", "4 400 zero"))
    assert done.returncode == 0
    assert "warning" in done.stderr
    assert done.stdout.rstrip().endswith("%lost 1")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["gone.kmtrace", "out.kmtrace"], "gone.kmtrace: no such file"),
        (["good.kmtrace", "out.xyz"], "does not tell the format; name one with --to: "),
        (["good.kmtrace", "gone/out.kmtrace"], "there is no folder gone"),
        (["good.kmtrace", "out.kmtrace", "--to", "kmtrac"], "'kmtrac' is not "),
        (["good.kmtrace", "out.kmtrace", "--map", "gone.toml"], "gone.toml: cannot be read"),
        (["good.kmtrace", "out.kmtrace", "--trace-prefix", "{a}{b}"], "need text between them"),
    ],
)
def test_mistakes(folder: Path, run: Run, args: list[str], text: str) -> None:
    done = run("convert", *args)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(folder.glob("*.part"))


MAP = '[[map]]\nprovider = "Contoso.{*}"\nevent = "{function}.{phase}"\n'


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        (MAP + MAP.replace("event", "evnt"), "wrong.toml:6:1", "unknown key 'evnt' in a rule of the mapping"),
        (MAP + 'phases = { A = "sideways" }\n', "wrong.toml:4:1", "unknown phase 'sideways'"),
        ('[[map]]\nevent = "x"\n', "wrong.toml:1", "a rule needs a function"),
        ("[[map]\n", "wrong.toml:1:", "is not valid TOML"),
        ('[[map]]\nevent = "{a}{b}"\n', "wrong.toml:2:1", "two places need text"),
        ("", "wrong.toml", "holds no rule"),
        ("[mapping]\n", "wrong.toml", "unknown key 'mapping'"),
    ],
)
def test_a_wrong_mapping(folder: Path, run: Run, text: str, position: str, message: str) -> None:
    (folder / "wrong.toml").write_text(text)
    done = run("check", "good.kmtrace", "--map", "wrong.toml")
    assert done.returncode == 2
    assert message in done.stderr
    assert position in done.stderr


def test_a_wrong_mapping_in_the_settings_file(folder: Path, run: Run) -> None:
    (folder / "kmclcheck.toml").write_text('quiet = true\n[[map]]\nevnt = "x"\n')
    done = run("check", "good.kmtrace")
    assert done.returncode == 2
    assert "kmclcheck.toml:3:1" in done.stderr
    assert "did you mean event?" in done.stderr
