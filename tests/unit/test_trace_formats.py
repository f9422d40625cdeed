"""Which format a file is of, by its first bytes: every format knows its own files, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmclcheck.diagnostics import InputError
from kmclcheck.traces import ReadOptions, known_formats, open_trace
from tests.fuzz.text import FORMATS, seeds
from tests.support.etw_text import sniffed

OTHERS = [
    *(
        b"",
        b"\n",
        b"hello\n",
        b"{}",
        b'{"a":1}',
        b"<html><body>",
        b"<Report>",
        b"<Eventsx>",
        b"<!DOCTYPE html>",
    ),
    *(b"a,b\n", b"Event Name\n", b"[0] message", b"[section]\nkey=1\n", b"12:00 [x]::", b"BeginHeaderx\n"),
    *(b'{"schema":"kmclcheck.run/1"}\n', bytes(range(256)), b"\0" * 100, b"\xff\xfe"),
    "kein Trace".encode("utf-16"),
]


def heads() -> list[tuple[str, bytes]]:
    found = [(name, seed) for name in FORMATS for seed in seeds(name)]
    found += [(name, b"\xef\xbb\xbf" + seed) for name, seed in found if not seed.startswith(b"\xff\xfe")]
    found += [(name, seed.decode().encode("utf-16-be")) for name in FORMATS for seed in seeds(name)[:1]]
    for trace in sorted((Path(__file__).parents[2] / "traces").glob("*.kmtrace"))[:5]:
        found.append(("kmtrace", trace.read_bytes()))
    return found


@pytest.mark.parametrize("size", [4096, 200])
def test_every_format_knows_its_own_files_and_no_others(size: int) -> None:
    for name, data in heads():
        assert sniffed(data[:size]) == [name], data[:60]


@pytest.mark.parametrize("head", OTHERS)
def test_other_files_are_nobodys(head: bytes) -> None:
    assert sniffed(head) == []


def test_an_opened_file_says_its_format(tmp_path: Path) -> None:
    for number, (name, data) in enumerate(heads()):
        path = tmp_path / f"trace-{number}.bin"
        path.write_bytes(data)
        reader = open_trace(str(path))
        assert reader.info.format == name
        for _ in reader:
            pass
        assert reader.bytes_read == len(data)


def test_the_suffix_lets_a_format_say_what_is_wrong(tmp_path: Path) -> None:
    for suffix, words in (
        (".xml", "<Events>"), (".csv", "columns"), (".txt", "--trace-prefix"), (".jsonl", "header"),
    ):  # fmt: skip
        path = tmp_path / ("some" + suffix)
        path.write_text("some text, that is no trace\n")
        with pytest.raises(InputError, match=words):
            open_trace(str(path))


def test_a_prefix_says_what_a_text_is(tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_text("1 | 08/21/2025-09:46:11.496 | drv | hello\n")
    with pytest.raises(InputError, match="no known trace format"):
        open_trace(str(path))
    reader = open_trace(str(path), options=ReadOptions(prefix="{cpu} | {time} | {component} | "))
    assert list(reader) == []
    assert reader.unmapped == {"drv/message": 1}


def test_no_two_formats_share_a_suffix() -> None:
    suffixes = [suffix for candidate in known_formats().values() for suffix in candidate.suffixes]
    assert len(suffixes) == len(set(suffixes))
