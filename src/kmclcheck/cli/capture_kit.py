"""``kmclcheck capture-kit``: write what a driver is built and captured with."""

from __future__ import annotations

import re
from pathlib import Path

import click

from kmclcheck.capturekit import KIT_FILES, kit_files
from kmclcheck.cli.console import complain, say
from kmclcheck.cli.exitcodes import ExitCode
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces.etw.shim import NAMELESS

MAX_NAME = 64
_NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}", re.ASCII)


@click.command("capture-kit", short_help="Write what a driver needs to be traced.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--driver",
    default=NAMELESS,
    show_default=True,
    metavar="NAME",
    help="The driver's name, a C identifier. It becomes part of the name of its event provider, so drivers "
    "that are captured together need different ones.",
)
@click.option("--force", is_flag=True, help="Write into a folder that is not empty, over an earlier kit.")
def command(folder: Path, driver: str, force: bool) -> int:
    """Write into DIR a header that records a driver's calls into KMCL, a profile to capture them, and a
    README that tells how.

    docs/capture.md leads from there to a checked trace.
    """
    if not _NAME.fullmatch(driver):
        raise click.BadParameter(
            f"{driver!r} is no name: it takes letters, digits and _, does not begin with a digit, and has at "
            f"most {MAX_NAME} characters",
            param_hint="--driver",
        )
    # Made before anything is written, so that a failure leaves nothing half done.
    kit = kit_files(bundled_spec(), driver)
    try:
        _accept(folder, force)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in kit.items():
            (folder / name).write_bytes(text.encode())
    except OSError as error:
        complain(f"error: {error.filename or folder}: cannot be written: {error.strerror or error}")
        return ExitCode.ERROR
    for name in kit:
        say(str(folder / name))
    return ExitCode.OK


def _accept(folder: Path, force: bool) -> None:
    """Refuse a folder in which something would be lost."""
    if folder.exists() and not folder.is_dir():
        raise click.BadParameter(f"{folder} is a file, not a folder", param_hint="DIR")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise click.UsageError(
            f"{folder} is not empty; --force writes over {', '.join(KIT_FILES)} and leaves other files alone"
        )
