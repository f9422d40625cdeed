"""What stands before the message of a line: the default prefix, or a template of the user's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from kmclcheck.traces.etw.clock import fraction_digits, parse_time
from kmclcheck.traces.etw.record import FieldValue
from kmclcheck.traces.etw.templates import Template

if TYPE_CHECKING:
    from lark import Lark
    from lark.exceptions import UnexpectedInput

# Only this form of the default prefix is common; the grammar takes more.
_ORDINARY = re.compile(
    r"\[([0-9]{1,5})\]([0-9A-Fa-f]{1,16})\.([0-9A-Fa-f]{1,16})::"
    r"([0-9]{2}/[0-9]{2}/[0-9]{4}-[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}"
    r"|[0-9]{4}/[0-9]{2}/[0-9]{2}-[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9})"
    r"[ \t]?\[([^\]\n]{1,256})\](.*)",
    re.DOTALL,
)
_EXPECTED = {
    "CPU": "the number of a CPU",
    "PID": "a process id in hexadecimal",
    "TID": "a thread id in hexadecimal",
    "TIME": "a date and time, MM/DD/YYYY-HH:MM:SS.mmm or YYYY/MM/DD-HH:MM:SS.fffffffff",
    "_OPEN": "[", "_CLOSE": "]", "_END": "]", "_DOT": ".", "_COLONS": "::",
    "COMPONENT": "the name of a component or provider",
}  # fmt: skip
MAX_CPU = 0xFFFF
MESSAGE = "message"
_TYPES = {"cpu": "int", "pid": "int", "tid": "int", "seq": "int", "time": "text", "component": "text"}
_PLACE = re.compile(r"\{\{|\{([A-Za-z_][\w.]*)\}")
# The form of the environment variable TRACE_FORMAT_PREFIX: %8!04X! is the process id, and so on.
_INSERT = re.compile(r"%([0-9]{1,2})!([^!]*)!|%([0-9]{1,2})|(%%)|([{}])")
_INSERTS = {1: "component", 2: "source", 3: "tid", 4: "time", 7: "seq", 8: "pid", 9: "cpu"}


@dataclass(slots=True)
class Prefix:
    """What a line tells before its message. ``digits`` is the resolution of the time, in decimal places."""

    cpu: int | None
    pid: int | None
    tid: int | None
    time: int | None
    digits: int
    component: str
    body: str
    fields: dict[str, FieldValue] = field(default_factory=dict)


class PrefixError(Exception):
    """A line has not the default prefix; ``column`` is where it differs, from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


def ordinary(line: str) -> Prefix | None:
    """Read an ordinary line; ``None`` if the grammar has to decide."""
    match = _ORDINARY.fullmatch(line)
    if match is None:
        return None
    cpu, pid, tid, time, component, body = match.groups()
    when = parse_time(time)
    if when is None or int(cpu) > MAX_CPU:
        return None
    return Prefix(
        int(cpu), int(pid, 16), int(tid, 16), when, len(time) - 20, component.strip(), body.strip(" \t")
    )


def by_grammar(line: str) -> Prefix:
    """Read a line with the default prefix. Raises PrefixError."""
    from lark import Token
    from lark.exceptions import UnexpectedInput

    try:
        tree = _parser().parse(line)
    except UnexpectedInput as error:
        raise _explain(line, error) from None
    found = {token.type: token for token in tree.children if isinstance(token, Token)}

    def natural(name: str, base: int) -> int | None:
        return None if found[name] == "-" else int(found[name], base)

    cpu = natural("CPU", 10)
    if cpu is not None and cpu > MAX_CPU:
        raise PrefixError(f"the number of a CPU is at most {MAX_CPU}", found["CPU"].column or 1)
    text = str(found["TIME"])
    time = None if text == "-" else _date(text)
    if time is None and text != "-":
        raise PrefixError("this is no date and time", found["TIME"].column or 1)
    return Prefix(
        cpu, natural("PID", 16), natural("TID", 16), time, fraction_digits(_padded(text)),
        str(found.get("COMPONENT", "")).strip(), str(found.get("BODY", "")).strip(" \t"),
    )  # fmt: skip


def _padded(text: str) -> str:
    """Return a time with two digits for day and month, so that the fraction stands at its place."""
    return re.sub(r"(?<![0-9])([0-9])(?=[/-])", r"0\1", text)


def _date(text: str) -> int | None:
    return parse_time(_padded(text))


@cache
def _parser() -> Lark:
    from importlib.resources import files

    from lark import Lark

    grammar = files("kmclcheck.traces.formats").joinpath("tracefmt.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=False)


def _explain(line: str, error: UnexpectedInput) -> PrefixError:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    column, names = len(line) + 1, set[str]()
    if isinstance(error, UnexpectedCharacters):
        column, names = error.column, set(error.allowed or ())
    elif isinstance(error, UnexpectedToken):
        names = set(error.accepts or error.expected)
        column = column if error.token.type == "$END" else error.token.column or 1
    wanted = " or ".join(dict.fromkeys(text for name, text in _EXPECTED.items() if name in names))
    found = line[column - 1 : column + 19]
    what = repr(found) if found else "the end of the line"
    return PrefixError(f"expected {wanted or 'the end of the line'}, found {what}", column)


class OwnPrefix:
    """A prefix that the user describes, as a template or in the form of TRACE_FORMAT_PREFIX.

    ``{cpu}``, ``{pid}``, ``{tid}``, ``{time}`` and ``{component}`` have their meaning; other places are
    fields. Raises TemplateError.
    """

    def __init__(self, text: str) -> None:
        if re.search(r"%[0-9]", text):
            text = _INSERT.sub(_insert, text)
        Template(text)  # so that an error names a column of what the user wrote
        text = _PLACE.sub(_typed, text)
        self._template = Template(text)
        if MESSAGE not in self._template.names:
            self._template = Template(f"{text}{{{MESSAGE}:text}}")

    def parse(self, line: str) -> Prefix | None:
        """Return what a line tells, or ``None`` if it is not of this form."""
        found = self._template.match(line)
        if found is None:
            return None
        time = str(found.pop("time", ""))
        component, body = str(found.pop("component", "")), str(found.pop(MESSAGE, ""))
        cpu, pid, tid = (_natural(found.pop(name, None)) for name in ("cpu", "pid", "tid"))
        return Prefix(cpu, pid, tid, _date(time), fraction_digits(_padded(time)), component, body, found)


def _natural(value: FieldValue | None) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _typed(match: re.Match[str]) -> str:
    kind = _TYPES.get(match[1] or "")
    return f"{{{match[1]}:{kind}}}" if kind else match[0]


def _insert(match: re.Match[str]) -> str:
    if match[4] or match[5]:
        return "%" if match[4] else match[5] * 2
    number = int(match[1] or match[3])
    name = _INSERTS.get(number, f"prefix{number}")
    spec = (match[2] or "").lower()
    kind = "hex" if spec.endswith(("x", "p")) else "int" if spec.endswith(("d", "u", "i")) else "text"
    return f"{{{name}:{kind}}}"
