"""The files of the capture kit, and the command that writes them."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from uuid import UUID

import pytest

from kmclcheck.capturekit import KIT_FILES, kit_files, provider_guid
from kmclcheck.capturekit.provider import c_initializer
from kmclcheck.cli.main import run
from kmclcheck.traces.etw import Record, mapping_from
from kmclcheck.traces.etw.builtin import builtin_mapping
from tests.support.kit_c import callbacks, declared, functions, spec

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "kmcl-api.yaml"


@pytest.fixture(scope="module")
def kit() -> dict[str, str]:
    return kit_files(spec(), "Echo")


@pytest.mark.parametrize(
    ("name", "guid"),
    [
        # The example of the page on TRACELOGGING_DEFINE_PROVIDER, and one of another implementation.
        ("MyCompany.MyComponent", "ce5fa4ea-ab00-5402-8b76-9f76ac858fb5"),
        ("MyProvider", "b3864c38-4273-58c5-545b-8b3608343471"),
        ("mypROVIDER", "b3864c38-4273-58c5-545b-8b3608343471"),
    ],
)
def test_a_provider_has_the_guid_of_its_name(name: str, guid: str) -> None:
    assert provider_guid(name) == UUID(guid)


def test_the_guid_in_c() -> None:
    text = c_initializer(UUID("ce5fa4ea-ab00-5402-8b76-9f76ac858fb5"))
    assert text == "(0xce5fa4ea, 0xab00, 0x5402, 0x8b, 0x76, 0x9f, 0x76, 0xac, 0x85, 0x8f, 0xb5)"


def test_the_mapping_is_the_part_of_the_builtin_one_that_is_about_the_shim(kit: dict[str, str]) -> None:
    ours = mapping_from(tomllib.loads(kit["kmcltrace.toml"])).rules
    theirs = [
        r for r in builtin_mapping().rules if r.provider is not None and r.provider.match("KmclTrace.A")
    ]
    assert len(ours) == len(theirs) >= 3
    records = [
        Record("KmclTrace.Echo", event=name, fields={"Seq": 7, "Irql": 2, "Status": 1, "Channel": 16})
        for name in ("DriverLoaded", "DriverUnloaded", "VmbChannelPause.call", "VmbChannelEnable.ret",
                     "EvtVmbPacketCompletionRoutine.in", "EvtVmbChannelOpened.out", "Incomplete")
    ]  # fmt: skip
    mapping = mapping_from(tomllib.loads(kit["kmcltrace.toml"]))
    assert [mapping.map(r) for r in records] == [builtin_mapping().map(r) for r in records]


def test_the_profile_captures_every_provider(kit: dict[str, str]) -> None:
    root = ElementTree.fromstring(kit["kmcltrace.wprp"].encode())
    providers = {p.get("Id"): p for p in root.iter("EventProvider")}
    assert {p.get("Name") for p in providers.values()} == {
        str(provider_guid("KmclTrace.Echo")),
        "fa3f78ff-ba6d-4ede-96b2-9c5bb803e3ba",
        "16d90d71-caca-5cd9-a618-8210d93015f3",
        "f2e2ce31-0e8a-4e46-a03b-2e0fe97e93c2",
    }
    assert all(p.get("NonPagedMemory") == "true" for p in providers.values())
    assert {p.get("Value") for p in root.iter("EventProviderId")} == set(providers)
    assert {c.get("Value") for c in root.iter("EventCollectorId")} == {"EC_KmclTrace"}
    assert {p.get("LoggingMode") for p in root.iter("Profile")} == {"File", "Memory"}


def test_the_readme_names_the_provider_and_what_is_not_recorded(kit: dict[str, str]) -> None:
    text = kit["README.md"]
    assert f"{{{provider_guid('KmclTrace.Echo')}}}" in text
    assert "* `VmbPacketSetCompletionRoutineEx`" in text
    assert "$" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def test_every_member_is_wrapped(kit: dict[str, str]) -> None:
    text = kit["kmcltrace.h"]
    assert (len(functions()), len(callbacks())) == (55, 11)
    for decl in functions():
        assert text.count(f"KMCLTRACE_WRAP(Interface, {decl.name})") == 1
        for phase in ("call", "ret"):
            assert len(re.findall(rf'WRITE\d+\("{decl.name}", "{phase}"', text)) == 1
    for decl in callbacks():
        for phase in ("in", "out"):
            assert len(re.findall(rf'WRITE\d+\("{decl.name}", "{phase}"', text)) == 1


def test_a_line_fits_what_a_debugger_takes(kit: dict[str, str]) -> None:
    (size,) = re.findall(r"#define KMCLTRACE_LINE_SIZE (\d+)", kit["kmcltrace.h"])
    assert int(size) <= 512


def test_nothing_of_the_library_is_declared_again(kit: dict[str, str]) -> None:
    assert not re.search(r"\(\s*\*\s*PFN_|\bPFN_\w+\s*;", kit["kmcltrace.h"])
    assert "typedef struct _KMCL_" not in kit["kmcltrace.h"]


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference files are not beside this checkout")
def test_prototypes_are_those_of_the_reference(kit: dict[str, str]) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is needed to read the reference")
    entries = {e["name"]: e for e in yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))["entries"]}
    found = dict(re.findall(r"typedef (\w+ KMCLTRACE_FN_\w+)\(([^)]*)\);", kit["kmcltrace.h"]))
    assert len(found) == len(functions())
    for start, parameters in found.items():
        returns, name = start.split(" KMCLTRACE_FN_")
        entry = entries[name]
        wanted = ", ".join(f"{p['type'].replace('*', ' *')} {p['name']}" for p in entry["params"])
        assert returns == entry["returns"], name
        assert " ".join(parameters.split()).replace("* ", "*") == wanted.replace("* ", "*"), name
    for decl in (*functions(), *callbacks()):
        wanted = ", ".join(
            f"{p['type'].replace('*', ' *')} {p['name']}" for p in entries[decl.name]["params"]
        )
        assert declared(decl) == wanted, decl.name


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "kit" / "here"
    assert run(["capture-kit", str(folder), "--driver", "Echo"]) == 0
    assert capsys.readouterr().out.split() == [str(folder / name) for name in KIT_FILES]
    made = {name: (folder / name).read_text(encoding="utf-8") for name in KIT_FILES}
    assert made == kit_files(spec(), "Echo")
    (folder / "mine.txt").write_text("stays")
    assert run(["capture-kit", str(folder), "--driver", "Other"]) == 2
    message = capsys.readouterr().err
    assert "is not empty" in message
    assert "--force" in message
    assert (folder / "kmcltrace.h").read_text(encoding="utf-8") == made["kmcltrace.h"]
    assert run(["capture-kit", str(folder), "--driver", "Other", "--force"]) == 0
    assert "KmclTrace.Other" in (folder / "kmcltrace.h").read_text(encoding="utf-8")
    assert (folder / "mine.txt").read_text() == "stays"


@pytest.mark.parametrize("name", ["", "9lives", "my driver", "a-b", "Dr\u00e4ger", "x" * 65, 'a"b', "a\n"])
def test_a_driver_needs_a_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["capture-kit", str(tmp_path / "kit"), "--driver", name]) == 2
    assert "--driver" in capsys.readouterr().err
    assert not (tmp_path / "kit").exists()


def test_places_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    assert run(["capture-kit", str(file)]) == 2
    assert "is a file" in capsys.readouterr().err
    assert run(["capture-kit", str(file / "kit")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    # A folder where a file has to go, since not every user can be refused by permissions.
    (tmp_path / "kit" / "README.md").mkdir(parents=True)
    assert run(["capture-kit", str(tmp_path / "kit"), "--force"]) == 2
    assert "README.md: cannot be written" in capsys.readouterr().err


def test_a_name_is_asked_for_before_a_place(tmp_path: Path) -> None:
    assert run(["capture-kit"]) == 2
    assert run(["capture-kit", str(tmp_path)]) == 0
    assert "KmclTrace.driver" in (tmp_path / "kmcltrace.h").read_text(encoding="utf-8")
