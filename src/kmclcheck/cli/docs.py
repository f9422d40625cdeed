"""``kmclcheck docs``: the documentation of a specification as a static site."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kmclcheck.cli.console import complain, say
from kmclcheck.cli.exitcodes import ExitCode
from kmclcheck.cli.finders import NAMES, finder
from kmclcheck.cli.limits import BOUND_HELP, read_limits
from kmclcheck.cli.solving import need_solver
from kmclcheck.cli.specs import BUNDLED, load_specs
from kmclcheck.model.spec import Spec
from kmclcheck.report.describe import plural
from kmclcheck.speclang.loader import bundled_samples

if TYPE_CHECKING:
    from kmclcheck.docsite.search import Found, Proved

_EPILOG = "Exit codes: 0 written, 1 something is missing (with --strict), 2 usage or input."


@click.command("docs", short_help="Write the documentation of a specification as a site.", epilog=_EPILOG)
@click.option("-o", "--output", metavar="DIR", required=True, help="The folder to write into.")
@click.option(
    "--format", "format_", type=click.Choice(["html", "markdown"]), default="html", show_default=True
)
@click.option(
    "--counterexamples", type=click.Choice(["examples", "search"]), default="examples", show_default=True,
    help="The specification's own examples, or the shortest traces that a search finds.",
)  # fmt: skip
@click.option("--engine", type=click.Choice(NAMES), default="graph", show_default=True, help="Who searches.")
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="SECONDS",
              help="The time for each search and each proof.")  # fmt: skip
@click.option("--bound", "bounds", multiple=True, metavar="NAME=N", help=BOUND_HELP)
@click.option("--proofs", is_flag=True, help="Prove the invariants (needs Z3).")
@click.option("--samples", multiple=True, metavar="PATH",
              help="Traces, or folders of them, to say which rules they exercise. By default those that come "
                   "with the bundled specification.")  # fmt: skip
@click.option(
    "--cache", metavar="DIR", help="Where results of searches and proofs are kept. [default: DIR/.cache]"
)
@click.option("--strict", is_flag=True, help="Fail if the specification leaves out what a page should say.")
@click.option("--spec", multiple=True, metavar="PATH", help="A specification instead of the bundled one.")
def command(
    output: str, format_: str, counterexamples: str, engine: str, timeout: float, bounds: tuple[str, ...],
    proofs: bool, samples: tuple[str, ...], cache: str | None, strict: bool, spec: tuple[str, ...],
) -> int:  # fmt: skip
    """Write a page for every rule, state machine and function, with diagrams and traces, into a folder.

    The pages need no server and fetch nothing. Their names are stable: rules/ID.html,
    machines/KIND.FIELD.html, events/NAME.html, invariants.html#ID.
    """
    from kmclcheck.docsite.build import ENTRY, build
    from kmclcheck.docsite.search import Search, Store, searched, spec_key
    from kmclcheck.docsite.search import proofs as prove_all

    specification = load_specs(spec)
    limits = read_limits(bounds, specification)
    if os.path.exists(output) and not os.path.isdir(output):
        raise click.UsageError(f"cannot write {output}: it is a file")
    traces = _samples(samples, spec)
    folder = Path(cache) if cache is not None else Path(output, ".cache")
    store = Store(folder / f"{spec_key(specification)[:32]}.json")
    found: dict[str, Found] | None = None
    proved: dict[str, Proved] | None = None
    if counterexamples == "search":
        search = Search(engine, finder(engine), finder("graph"), limits, timeout)
        found = searched(specification, search, store, _progress)
    if proofs:
        need_solver("docs --proofs")
        proved = prove_all(specification, timeout, limits.others, store, _progress)
    files = build(specification, format_, found=found, proved=proved, samples=traces, options=_options(spec))
    for name, text in files.items():
        path = Path(output, *name.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "backslashreplace"))
    complain(f"{plural(len(files), 'file')} in {output}; begin with {Path(output, ENTRY[format_])}")
    gaps = _missing(specification) if strict else []
    if gaps:
        say("\n".join(gaps))
        complain(f"{plural(len(gaps), 'gap')} in the specification")
        return ExitCode.FINDINGS
    return ExitCode.OK


def _missing(spec: Spec) -> list[str]:
    from kmclcheck.docsite.site import Site
    from kmclcheck.docsite.strict import missing

    return missing(Site(spec))


def _options(spec: tuple[str, ...]) -> str:
    """Return the options for the same specification, without the folders of this machine."""
    if all(name == BUNDLED for name in spec):
        return ""
    names = [name if name == BUNDLED else os.path.basename(os.path.normpath(name)) for name in spec]
    return "".join(f" --spec {shlex.quote(name)}" for name in dict.fromkeys(names))


def _samples(paths: tuple[str, ...], spec: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return traces in the native format by name. Raises UsageError for a path that cannot be read."""
    files: list[Path] = []
    for path in paths:
        folder = Path(path)
        files += sorted(folder.glob("*.kmtrace")) if folder.is_dir() else [folder]
    if not paths and all(name == BUNDLED for name in spec):
        files = bundled_samples()
    found = []
    for file in files:
        try:
            found.append((file.name, file.read_text(encoding="utf-8", errors="replace")))
        except OSError as error:
            raise click.UsageError(f"cannot read {file}: {error.strerror or error}") from None
    return found


def _progress(what: str, done: int, total: int) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        end = "\n" if done + 1 == total else ""
        sys.stderr.write(f"\r\033[K{done + 1}/{total} {what}{end}")
        sys.stderr.flush()
