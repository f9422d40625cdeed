"""Finding files, and the cache that makes start-up fast."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from kmclcheck.diagnostics import InputError
from kmclcheck.speclang import cache as spec_cache
from kmclcheck.speclang import check_spec, load_spec

FILE = Path(__file__).parent.parent / "data" / "filehandle.kmcl"
SOURCE = Path(__file__).parent.parent.parent / "src"
posix = pytest.mark.skipif(sys.platform == "win32", reason="modes of files")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.delenv("KMCLCHECK_NO_CACHE", raising=False)
    return tmp_path / "kmclcheck" / "specs"


def test_folder_is_all_its_files(tmp_path: Path, folder: Path) -> None:
    specs = tmp_path / "in"
    (specs / "b").mkdir(parents=True)
    (specs / "z.kmcl").write_text("spec a\n", encoding="utf-8")
    (specs / "b" / "c.kmcl").write_bytes(b"\xef\xbb\xbfstatus S = 1\r\n")
    (specs / "b" / "other.txt").write_text("not read", encoding="utf-8")
    spec = load_spec([specs, specs / "z.kmcl"])
    assert [Path(p).name for p in spec.sources] == ["c.kmcl", "z.kmcl"]
    assert spec.statuses == {"S": 1}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "missing.kmcl", "cannot read"),
        (lambda p: p, "no .kmcl file"),
    ],
)
def test_unreadable(tmp_path: Path, make: object, message: str) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    assert message in check_spec([path])[0].message
    with pytest.raises(InputError, match=message):
        load_spec([path])


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.kmcl"
    path.write_bytes(b"spec a # \xff")
    with pytest.raises(InputError, match="not UTF-8"):
        load_spec([path])


def test_cache_gives_the_same(folder: Path) -> None:
    first = load_spec([FILE])
    assert len(list(folder.glob("*.spec"))) == 1
    second = load_spec([FILE])
    assert second is not first
    assert second == first


@posix
def test_cache_is_private(folder: Path) -> None:
    load_spec([FILE])
    (entry,) = folder.glob("*.spec")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert entry.stat().st_mode & 0o077 == 0


def test_no_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMCLCHECK_NO_CACHE", "1")
    load_spec([FILE])
    assert not folder.exists()


def test_damaged_cache_is_ignored(folder: Path) -> None:
    first = load_spec([FILE])
    (entry,) = folder.glob("*.spec")
    for data in (b"", entry.read_bytes()[:-1], b"x" * 100):
        entry.write_bytes(data)
        assert load_spec([FILE]) == first


@posix
def test_folder_open_to_others_is_ignored(folder: Path) -> None:
    load_spec([FILE])
    key = spec_cache.key_of({str(FILE): FILE.read_text(encoding="utf-8")})
    assert spec_cache.load(key) is not None
    folder.chmod(0o770)
    assert spec_cache.load(key) is None


def test_foreign_classes_are_not_built(folder: Path) -> None:
    load_spec([FILE])
    (entry,) = folder.glob("*.spec")
    body = pickle.dumps(os.getcwd)
    entry.write_bytes(b"kmclcheck-spec-1\n" + sha256(body).digest() + body)
    assert spec_cache.load(entry.stem) is None


def test_unwritable_cache_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setenv("LOCALAPPDATA", str(blocked))
    monkeypatch.delenv("KMCLCHECK_NO_CACHE", raising=False)
    assert load_spec([FILE]).name == "filehandle"


def test_cached_start_does_not_import_the_parser(folder: Path) -> None:
    load_spec([FILE])
    code = (
        "import sys; from kmclcheck.speclang import load_spec; "
        f"assert load_spec([{str(FILE)!r}]).name == 'filehandle'; assert 'lark' not in sys.modules"
    )
    path = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})
