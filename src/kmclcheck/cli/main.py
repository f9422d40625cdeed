"""The entry point: a group of commands that are imported only when they are called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import NoReturn

import click

from kmclcheck import __version__

# Command, its module, and the line that `--help` shows without importing the module.
_COMMANDS = {
    "analyze": (
        "kmclcheck.cli.analyze",
        "Tell what the rules come to: implications, states, calls that hang.",
    ),
    "capture-kit": ("kmclcheck.cli.capture_kit", "Write what a driver needs to be traced."),
    "check": ("kmclcheck.cli.check", "Check traces against the rules."),
    "convert": ("kmclcheck.cli.convert", "Write a trace in another format."),
    "counterexample": (
        "kmclcheck.cli.counterexample",
        "Find the shortest trace that breaks a rule and no other.",
    ),
    "coverage": (
        "kmclcheck.cli.coverage",
        "Tell which states, transitions and rules traces covered.",
    ),
    "docs": ("kmclcheck.cli.docs", "Write the documentation of a specification as a site."),
    "explain": ("kmclcheck.cli.explain", "Tell what a rule means and how to keep it."),
    "explain-open": (
        "kmclcheck.cli.explain_open",
        "Tell what a trace may have missed where a rule is open.",
    ),
    "export": ("kmclcheck.cli.export", "Write the specification for other tools."),
    "graph": ("kmclcheck.cli.graph", "Write the state graphs of machines."),
    "prove": ("kmclcheck.cli.prove", "Prove what is claimed to follow from the rules."),
    "repair": (
        "kmclcheck.cli.repair",
        "Propose the smallest change of a driver's calls that mends a finding.",
    ),
    "schema": ("kmclcheck.cli.schema", "Print the JSON Schema of a document."),
    "simulate": ("kmclcheck.cli.simulate", "Write the trace of a simulated run."),
    "spec": ("kmclcheck.cli.spec", "Check a specification, or show parts of it."),
}


class LazyGroup(click.Group):
    """Knows its commands by name; imports the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), "command", None)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from kmclcheck.cli.nearest import did_you_mean

            ctx.fail(f"no such command {args[0]!r}{did_you_mean(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kmclcheck")
def cli() -> None:
    """Check call traces of Windows drivers against the lifecycle rules of an API."""


def main() -> NoReturn:
    """Run the command line. Every way out is an exit code; no error shows a traceback."""
    sys.exit(run())


def run(args: list[str] | None = None) -> int:
    """Run a command line, by default that of the process, and return its exit code."""
    code = 0
    try:
        # As a plain call, click would exit by itself and map an interrupt to code 1.
        result = cli.main(args=args, prog_name="kmclcheck", standalone_mode=False)
        code = int(result) if isinstance(result, int) else 0
        if sys.stdout is not None:
            sys.stdout.flush()  # while a failure can still become an exit code
        return code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        from kmclcheck.cli.console import complain

        complain("interrupted")
        return 2
    except Exception as error:
        from kmclcheck.cli.console import drop_stdout, is_closed_pipe

        if is_closed_pipe(error):
            drop_stdout()
            return code
        return _report(error)


def _report(error: Exception) -> int:
    from kmclcheck.cli.console import complain, drop_stdout
    from kmclcheck.diagnostics import InputError

    if os.environ.get("KMCLCHECK_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    if isinstance(error, InputError):
        complain(str(error))
    elif isinstance(error, OSError):
        complain(f"error: {error.filename or 'the result could not be written'}: {error.strerror or error}")
        drop_stdout()
    else:
        complain(
            f"error: internal error: {type(error).__name__}: {error}\n"
            "  = note: this is a fault of kmclcheck, not of its input; please report it\n"
            "  = help: run again with KMCLCHECK_DEBUG=1 to see where it happened"
        )
    return 2
