"""Files of known findings: read before a check, written after it."""

from __future__ import annotations

from pathlib import Path

from kmclcheck.cli.console import complain
from kmclcheck.cli.writing import text_output
from kmclcheck.diagnostics import Diagnostic, InputError, Level
from kmclcheck.model.spec import Spec
from kmclcheck.report import KnownFinding, RunResult
from kmclcheck.report.baseline import baseline_of, read_baseline, write_baseline
from kmclcheck.report.describe import plural


def load_baseline(path: str) -> dict[str, KnownFinding]:
    """Return the known findings of a file by fingerprint. Raises InputError."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise _error(path, "there is no such file; write one with --write-baseline") from None
    except OSError as error:
        raise _error(path, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise _error(path, f"is not UTF-8: {error}") from None
    return read_baseline(text, path)


def store_baseline(run: RunResult, spec: Spec, path: str) -> None:
    """Write all findings of a run, and tell how many; nothing is written for a run that is not whole."""
    if run.failures or run.interrupted or not all(trace.complete for trace in run.traces):
        complain(f"baseline {path}: not written, for not everything was checked")
        return
    known = baseline_of(run.traces, spec)
    with text_output(path) as stream:
        stream.write(write_baseline(known))
    total = sum(len(trace.findings) for trace in run.traces)
    alike = f" ({plural(total, 'finding')}, some alike)" if total > len(known) else ""
    complain(f"baseline {path}: {plural(len(known), 'known finding')} written{alike}")


def _error(path: str, why: str) -> InputError:
    return InputError([Diagnostic(Level.ERROR, f"baseline {path}: {why}")])
