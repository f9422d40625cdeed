"""Finds and reads specification files and turns them into a ``Spec``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from kmclcheck.diagnostics import Diagnostic, InputError, Level
from kmclcheck.model.spec import Spec
from kmclcheck.speclang import cache

_SUFFIX = ".kmcl"
_BUNDLED = ("specs", "kmcl")


def load_spec(paths: Sequence[str | Path]) -> Spec:
    """Return the specification that these files and folders make together.

    A folder stands for all its ``.kmcl`` files, recursively, in the order of their relative paths.
    Raises ``InputError`` with every fault of every file.
    """
    texts, problems = _read(paths)
    if problems:
        raise InputError(problems)
    return _load(texts)


def check_spec(paths: Sequence[str | Path]) -> list[Diagnostic]:
    """Return everything that is wrong with these files, in the order of the files."""
    texts, problems = _read(paths)
    if not texts:
        return problems
    from kmclcheck.speclang.lowering import compile_spec

    return [*problems, *compile_spec(texts)[1]]


def bundled_paths() -> list[tuple[str, Path]]:
    """Return the files of the installed specification with the names they are shown under.

    They stand beside the package when it was installed, and at the top of a checkout otherwise.
    """
    for root in _roots():
        folder = root.joinpath(*_BUNDLED)
        if folder.is_dir():
            # Shown without the place of installation: reports must not depend on the machine.
            return [("/".join((*_BUNDLED, name)), path) for name, path in _folder(folder)]
    return []


def bundled_samples() -> list[Path]:
    """Return the sample traces that are installed with the specification, in the order of their names."""
    for root in _roots():
        found = sorted(root.joinpath("traces").glob("*.kmtrace"))
        if found:
            return found
    return []


def _roots() -> tuple[Path, ...]:
    package = Path(str(resources.files("kmclcheck")))
    return package.joinpath("_data"), package.parent.parent


def bundled_spec() -> Spec:
    """Return the specification that comes with the package. Raises ``InputError``."""
    texts: dict[str, str] = {}
    problems: list[Diagnostic] = []
    for name, path in bundled_paths():
        _read_file(name, path, texts, problems)
    if not texts and not problems:
        problems.append(_problem("the bundled specification is missing", "install the package again"))
    if problems:
        raise InputError(problems)
    return _load(texts)


def _load(texts: dict[str, str]) -> Spec:
    key = cache.key_of(texts)
    cached = cache.load(key)
    if cached is not None:
        return cached
    from kmclcheck.speclang.lowering import compile_spec

    spec, diagnostics = compile_spec(texts)
    if any(d.level is Level.ERROR for d in diagnostics):
        raise InputError(diagnostics)
    cache.store(key, spec)
    return spec


def _folder(folder: Path) -> list[tuple[str, Path]]:
    files = [(p.relative_to(folder).as_posix(), p) for p in folder.rglob(f"*{_SUFFIX}") if p.is_file()]
    return sorted(files)


def _read(paths: Sequence[str | Path]) -> tuple[dict[str, str], list[Diagnostic]]:
    texts: dict[str, str] = {}
    problems: list[Diagnostic] = []
    seen: set[Path] = set()
    for given in paths:
        path = Path(given)
        if path.is_dir():
            files = [file for _, file in _folder(path)]
            if not files:
                problems.append(
                    _problem(f"no {_SUFFIX} file in the folder {path}", "give a folder of specifications")
                )
        else:
            files = [path]
        for file in files:
            # A file that is given twice, by itself and in its folder, is read once.
            real = file.resolve()
            if real not in seen:
                seen.add(real)
                _read_file(str(file), file, texts, problems)
    if not texts and not problems:
        problems.append(_problem("no specification was given", None))
    return texts, problems


def _read_file(name: str, path: Path, texts: dict[str, str], problems: list[Diagnostic]) -> None:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problems.append(_problem(f"cannot read {name}: {error.strerror or error}", "check the path"))
    except UnicodeDecodeError as error:
        problems.append(_problem(f"{name} is not UTF-8 text (byte {error.start})", "save it as UTF-8"))
    else:
        texts[name] = text.replace("\r\n", "\n")


def _problem(message: str, help: str | None) -> Diagnostic:
    return Diagnostic(Level.ERROR, message, None, None, help)
