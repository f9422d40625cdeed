"""Keeps lowered specifications, so that a start-up needs neither the parser nor its library.

The cache is an accelerator and nothing else: whatever is wrong with it, it is as if it were empty.

Loading a pickle can run code, so a cache file is believed only if nobody but the user can have
written it: the folder and the file belong to the user, the folder has mode 0700, neither is a
symbolic link, and the content carries its SHA-256 (against damage, not against an attacker). And
should all that fail, the unpickler builds nothing but the dataclasses and enums of the IR.
On Windows the folder lies in the user's profile, which other users cannot write.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import hashlib
import io
import os
import pickle
import stat
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from kmclcheck import __version__
from kmclcheck.model.spec import Spec

_MAGIC = b"kmclcheck-spec-1\n"
_KEPT = 16
_MODULES = ("kmclcheck.model.", "kmclcheck.diagnostics")
_BUILTINS = {"frozenset": frozenset, "set": set}


def key_of(texts: dict[str, str]) -> str:
    """Return a name for the result of lowering these texts with this program."""
    digest = hashlib.sha256(_program().encode())
    for path, text in texts.items():
        for part in (path, text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
    return digest.hexdigest()


@cache
def _program() -> str:
    """Everything besides the texts that the result depends on."""
    digest = hashlib.sha256(f"{__version__} {sys.version_info[:3]}".encode())
    package = Path(__file__).resolve().parent.parent
    for folder in ("speclang", "model", "diagnostics"):
        with contextlib.suppress(OSError):
            for file in sorted(package.joinpath(folder).iterdir()):
                if file.suffix in (".py", ".lark"):
                    digest.update(file.name.encode())
                    digest.update(file.read_bytes())
    return digest.hexdigest()


def load(key: str) -> Spec | None:
    """Return the cached specification, or ``None``."""
    folder = _folder()
    if folder is None:
        return None
    try:
        if not _private(folder, directory=True):
            return None
        path = folder / f"{key}.spec"
        if not _private(path, directory=False):
            return None
        data = path.read_bytes()
        magic, digest, body = data[: len(_MAGIC)], data[len(_MAGIC) :][:32], data[len(_MAGIC) + 32 :]
        if magic != _MAGIC or hashlib.sha256(body).digest() != digest:
            return None
        found = _Loader(io.BytesIO(body)).load()
    except Exception:
        # Any damage at all, from a missing file to a class that changed, means: read the texts.
        return None
    return found if isinstance(found, Spec) else None


def store(key: str, spec: Spec) -> None:
    """Keep a specification for the next start, if that is possible."""
    folder = _folder()
    if folder is None:
        return
    with contextlib.suppress(OSError, pickle.PicklingError, RecursionError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _private(folder, directory=True):
            return
        buffer = io.BytesIO()
        _Dumper(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(spec)
        body = buffer.getvalue()
        handle, temporary = tempfile.mkstemp(dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(body).digest() + body)
            os.replace(temporary, folder / f"{key}.spec")
        except OSError:
            os.unlink(temporary)
            raise
        _prune(folder)


def _prune(folder: Path) -> None:
    files = sorted(folder.glob("*.spec"), key=lambda f: f.stat().st_mtime, reverse=True)
    for old in files[_KEPT:]:
        old.unlink(missing_ok=True)


def _folder() -> Path | None:
    if os.environ.get("KMCLCHECK_NO_CACHE", "") not in ("", "0"):
        return None
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) / "kmclcheck" / "specs" if local else None
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    except RuntimeError:
        return None
    return root / "kmclcheck" / "specs"


def _private(path: Path, *, directory: bool) -> bool:
    """Whether only this user can have written the file, or can write to the folder."""
    info = path.lstat()
    if not (stat.S_ISDIR(info.st_mode) if directory else stat.S_ISREG(info.st_mode)):
        return False
    if sys.platform == "win32":
        return True
    return info.st_uid == os.getuid() and not info.st_mode & 0o077


class _Dumper(pickle.Pickler):
    """Writes a dataclass as a call of its class, which loads several times faster than its state."""

    def reducer_override(self, obj: Any) -> Any:
        if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
            return type(obj), tuple(getattr(obj, f.name) for f in dataclasses.fields(obj))
        return NotImplemented


class _Loader(pickle.Unpickler):
    """Builds only what a ``Spec`` is made of."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if module == "builtins" and name in _BUILTINS:
            return _BUILTINS[name]
        if module.startswith(_MODULES):
            found = super().find_class(module, name)
            if isinstance(found, type) and (dataclasses.is_dataclass(found) or issubclass(found, enum.Enum)):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a specification")
