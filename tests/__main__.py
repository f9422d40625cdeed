"""Run everything that CI runs, in order; stop at the first step that fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def tool(name: str) -> str:
    """Return the path of a console script of this environment, which need not be activated."""
    folder = sysconfig.get_path("scripts")
    return shutil.which(name, path=folder) or name


def main() -> int:
    steps: list[tuple[str, list[str]]] = [
        ("ruff", [tool("ruff"), "check", "."]),
        ("mypy", [sys.executable, "-m", "mypy"]),
        ("import contracts", [tool("lint-imports")]),
        ("pytest", [sys.executable, "-m", "pytest", *sys.argv[1:]]),
    ]
    for name, command in steps:
        print(f"== {name}", flush=True)
        try:
            code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
        except FileNotFoundError:
            print(f"{command[0]} is not installed: pip install -e '.[dev]'", file=sys.stderr)
            return 2
        if code:
            print(f"== {name} failed with exit code {code}", file=sys.stderr)
            return code
    print("== all checks passed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
