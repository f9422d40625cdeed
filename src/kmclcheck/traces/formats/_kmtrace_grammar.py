"""The native format read by its grammar: the definition, and the path for unusual lines.

Imported only when a line needs it, so that ordinary traces never load Lark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from kmclcheck.model.event import ArgValue, Event
from kmclcheck.traces.formats._kmtrace_values import (
    BOOLEANS,
    COLUMN_LIMITS,
    MAX_ARGUMENTS,
    MAX_CPU,
    MAX_IRQL,
    MAX_UNSIGNED,
    PHASES,
    number,
    status_value,
)

_EXPECTATIONS = {
    "ENDPOINT": "@ENDPOINT",
    "PLACE": "the name of an endpoint (letters, digits and _ . : / -)",
    "SEQ": "a sequence number or -",
    "TIME": "a time in nanoseconds or -",
    "CPU": "a CPU number or -",
    "THREAD": "PID.TID in hexadecimal or -",
    "IRQL": "an IRQL or -",
    "PHASE": "a phase (call, ret, in, out or whole)",
    "NAME": "the name of a function or callback",
    "KEY": "KEY=VALUE",
    "HEX": 'a value (a number of at most 64 bits, TRUE, FALSE, a name or a "string")',
    "STRING": 'a "string" closed by a quote, with the escapes \\" \\\\ \\n \\t \\xNN \\uNNNN',
    "VERSION": "a version number",
    "START": "known or midlife",
    "END": "unloaded, hung or stopped",
    "RECORD": "all, functions, callbacks or a name, perhaps with .call, .ret, .in or .out and a leading -",
    "CLOCK": "resolution=N or skew=N with the unit ns, us, ms or s",
    "COUNT": "a count",
    "ANYWHERE": "anywhere",
}
_COLUMN_NAMES = {"SEQ": "a sequence number", "TIME": "a time", "CPU": "a CPU number", "IRQL": "an IRQL"}
# Terminals that say nothing beside another one that is expected at the same place.
_IMPLIED = {"HEX": {"DECIMAL", "BOOLEAN", "WORD", "STRING"}, "KEY": {"COLUMN", "AT"}}
_ESCAPE = re.compile(r"\\(?:x(..)|u(....)|(.))")
_PLAIN = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


class LineError(Exception):
    """A line that is not of the format: 1-based column, length of what is wrong, and a help."""

    def __init__(self, message: str, column: int, length: int = 1, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.length = length
        self.help = help


@dataclass(frozen=True, slots=True)
class Directive:
    """A ``%`` line: the name of its grammar rule, and its words."""

    kind: str
    words: tuple[str, ...]


@cache
def _parser() -> Lark:
    grammar = files("kmclcheck.traces.formats").joinpath("kmtrace.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=False)


def parse_line(text: str, endpoint: str = "", line: int = 0, offset: int = 0) -> Event | Directive | None:
    """Read one line by the grammar: an event, a directive, or ``None`` for comment and empty line.

    ``endpoint`` is that of an event which names none. Raises LineError.
    """
    if not text.strip(" \t"):
        return None
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _explain(text, error) from None
    node = tree.children[0]
    if isinstance(node, Token):
        return None
    if node.data == "full":
        return _full(node.children, endpoint, line, offset)
    if node.data == "short":
        return _short(node.children, endpoint, line, offset)
    return Directive(str(node.data), tuple(str(child) for child in node.children if child is not None))


Child = Token | Tree[Token]


def _full(children: list[Child], endpoint: str, line: int, offset: int) -> Event:
    tokens = [child for child in children if isinstance(child, Token)]
    if tokens[0].type == "ENDPOINT":
        endpoint = _place(tokens.pop(0)[1:])
    seq, time, cpu, thread, irql, phase, name = tokens
    pid, tid = _thread(thread)
    args, status, _ = _arguments(children)
    return Event(
        name=str(name),
        phase=PHASES[phase],
        args=args,
        status=status,
        seq=_count(seq, MAX_UNSIGNED),
        time=_count(time, MAX_UNSIGNED),
        cpu=_count(cpu, MAX_CPU),
        pid=pid,
        tid=tid,
        irql=_count(irql, MAX_IRQL),
        endpoint=endpoint,
        line=line,
        offset=offset,
    )


def _short(children: list[Child], endpoint: str, line: int, offset: int) -> Event:
    phase, name = cast(Token, children[0]), cast(Token, children[1])
    args, status, columns = _arguments(children)
    place = columns.pop("at", None)
    counts = cast("dict[str, int]", columns)
    return Event(
        name=str(name),
        phase=PHASES[phase],
        args=args,
        status=status,
        seq=counts.get("seq"),
        time=counts.get("time"),
        cpu=counts.get("cpu"),
        pid=counts.get("pid"),
        tid=counts.get("tid"),
        irql=counts.get("irql"),
        endpoint=endpoint if place is None else _place(str(place)),
        line=line,
        offset=offset,
    )


def _arguments(
    children: list[Child],
) -> tuple[dict[str, ArgValue], ArgValue | None, dict[str, ArgValue]]:
    """Return arguments, status, and the columns that a short line gives as keys."""
    seen: set[str] = set()
    args: dict[str, ArgValue] = {}
    columns: dict[str, ArgValue] = {}
    status: ArgValue | None = None
    for node in children:
        if not isinstance(node, Tree):
            continue
        key, token = cast(Token, node.children[0]), cast(Token, node.children[1])
        name = "Return" if key == "return" else str(key)
        if len(seen) == MAX_ARGUMENTS:
            raise _wrong(key, f"more than {MAX_ARGUMENTS} arguments")
        if name in seen:
            raise _wrong(key, f"{key}= stands twice")
        seen.add(name)
        value = _value(token)
        if node.data == "place":
            columns["at"] = value
        elif node.data == "column":
            limit = COLUMN_LIMITS[name]
            if isinstance(value, str) or not 0 <= value <= limit:
                raise _wrong(token, f"{key} must be between 0 and {limit}")
            columns[name] = value
        elif name == "status":
            try:
                status = status_value(value)
            except ValueError as error:
                raise _wrong(token, str(error)) from None
        else:
            args[name] = value
    return args, status, columns


def _value(token: Token) -> ArgValue:
    match token.type:
        case "HEX" | "DECIMAL":
            try:
                return number(token)
            except ValueError as error:
                raise _wrong(token, str(error)) from None
        case "BOOLEAN":
            return BOOLEANS[token]
        case "STRING":
            return _unescape(token[1:-1])
        case _:
            return str(token)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return chr(int(code, 16)) if code else _PLAIN[match[3]]

    # Two \u escapes may be the halves of one character; a lone half cannot be printed.
    return _ESCAPE.sub(one, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count(token: Token, limit: int) -> int | None:
    if token == "-":
        return None
    value = int(token)
    if value > limit:
        raise _wrong(token, f"{_COLUMN_NAMES[token.type]} is at most {limit}")
    return value


def _thread(token: Token) -> tuple[int | None, int | None]:
    if token == "-":
        return None, None
    pid, tid = token.split(".")
    return (None if pid == "-" else int(pid, 16)), (None if tid == "-" else int(tid, 16))


def _place(text: str) -> str:
    return "" if text == "-" else text


def _wrong(token: Token, message: str) -> LineError:
    return LineError(message, token.column or 1, len(token))


def _explain(text: str, error: UnexpectedInput) -> LineError:
    column, expected = len(text) + 1, set[str]()
    match error:
        case UnexpectedToken():
            expected = set(error.accepts or error.expected)
            if error.token.type != "$END":
                column = error.token.column or 1
        case UnexpectedCharacters():
            expected, column = set(error.allowed or ()), error.column
        case UnexpectedEOF():
            expected = set(error.expected)
        case _:
            pass
    rest = text[column - 1 :]
    found = re.split(r"[ \t]", rest, maxsplit=1)[0]
    help = None
    begins = column <= len(text) - len(text.lstrip(" \t")) + 1
    if begins and rest.startswith("%"):
        return _unknown_directive(found, column)
    if not rest and "_BLANK" in expected:
        # What may follow the blank is what is missing; a character of no terminal brings it out.
        try:
            _parser().parse(text + " \x01")
        except UnexpectedCharacters as next_error:
            expected = set(next_error.allowed or ())
        except UnexpectedToken as next_error:
            expected = set(next_error.accepts or next_error.expected)
    if begins:
        wanted = "an event line, a % line or a # comment"
    elif rest.startswith('"') and "STRING" in expected:
        wanted = _EXPECTATIONS["STRING"]
    else:
        implied = set[str]().union(*(_IMPLIED.get(name, set()) for name in expected))
        names = [name for name in _EXPECTATIONS if name in expected - implied]
        wanted = " or ".join(_EXPECTATIONS[name] for name in names) or "the end of the line"
        if "KEY" in expected and re.match(r"(seq|time|cpu|pid|tid|irql|at)=", rest):
            help = "lower-case column keys belong to the short form, which begins with the phase"
    what = repr(found[:40]) if found else "the end of the line" if not rest else "a blank"
    return LineError(f"expected {wanted}, found {what}", column, max(1, len(found)), help)


def _unknown_directive(found: str, column: int) -> LineError:
    from difflib import get_close_matches

    known = ["%kmtrace", "%start", "%end", "%endpoint", "%records", "%clock", "%lost", "%note"]
    near = get_close_matches(found[:40], known, n=1)
    help = f"did you mean {near[0]}?" if near else "free text goes into a # comment or a %note line"
    message = f"unknown % line {found[:40]!r}; known are {', '.join(known)}"
    return LineError(message, column, len(found), help)
