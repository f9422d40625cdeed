"""Text to syntax tree. After a syntax error parsing goes on with the next declaration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from kmclcheck.diagnostics import Span
from kmclcheck.speclang.builder import Builder
from kmclcheck.speclang.reporter import Reporter, nearest
from kmclcheck.speclang.syntax import Declaration

_HEADER = re.compile(
    r"^(?:spec|status|constant|object|function|callback|record|group|machine|births|set|unset|add"
    r"|predicate|rule|invariant|prelude|planned)\b(?:\s+([\w-]+))?",
    re.MULTILINE,
)
# A header with its opening bracket never stands in a trace: seen inside a long text it tells that
# the text before it was not closed.
_SURE_HEADER = re.compile(
    r"^(?:object|machine|births|rule|invariant)\s+[\w.-]+[^\n\"]*\{|^(?:function|callback|record)\s+\w+\s*[({:]",
    re.MULTILINE,
)
_SKIPPED = re.compile(r'#[^\n]*|"""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"')

_NAMES = {
    "NAME": "a name",
    "RULE_ID": "a rule id",
    "NUMBER": "a number",
    "STRING": "a text in quotes",
    "LONG_STRING": "a text in quotes",
    "OPERATOR": "a comparison",
    "DIRECTION": "`in`, `out` or `inout`",
    "STAR": "`*`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "DOT": "`.`",
    "EQUAL": "`=`",
    "__ANON_0": "`->`",
    "_NUMBER_TYPE": "`number`",
}


@cache
def _lark() -> Lark:
    grammar = resources.files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def parse(path: str, text: str, report: Reporter) -> tuple[Declaration, ...]:
    """Return the declarations of one file; those that cannot be parsed are reported and left out."""
    try:
        return _tree(path, text)
    except UnexpectedInput:
        pass
    found: list[Declaration] = []
    for line, chunk, broken_text in _chunks(text):
        if broken_text is not None:
            span = Span(path, broken_text[0], broken_text[1], 3)
            report.error("this text is not closed", span, 'end it with `"""`')
            _remember(chunk, report)
            continue
        try:
            found += _tree(path, "\n" * (line - 1) + chunk)
        except UnexpectedInput as error:
            _explain(path, error, report, text)
            _remember(chunk, report)
    return tuple(found)


def _tree(path: str, text: str) -> tuple[Declaration, ...]:
    result: tuple[Declaration, ...] = Builder(path).transform(_lark().parse(text))
    return result


def _remember(chunk: str, report: Reporter) -> None:
    for match in _HEADER.finditer(chunk):
        if match[1]:
            report.broken.add(match[1])
    if chunk.startswith("spec"):
        report.broken.add("spec")


def _chunks(text: str) -> Iterator[tuple[int, str, tuple[int, int] | None]]:
    """Cut at every keyword of a declaration at a line start, outside of strings and comments.

    Yields the line of the chunk, its text, and the place of a long text that is not closed.
    """
    starts: list[int] = []
    unclosed: list[int] = []
    position = 0
    while position < len(text):
        skipped = _SKIPPED.search(text, position)
        end = skipped.start() if skipped else len(text)
        starts += [m.start() for m in _HEADER.finditer(text, position, end)]
        if skipped is None:
            if (quote := text.find('"""', position)) >= 0:
                unclosed.append(quote)
            break
        position = skipped.end()
        if skipped[0].startswith('"""') and (header := _SURE_HEADER.search(text, skipped.start(), position)):
            unclosed.append(skipped.start())
            position = header.start()
        elif skipped[0] == '""' and text.startswith('"""', skipped.start()):
            unclosed.append(skipped.start())
            header = _SURE_HEADER.search(text, position)
            position = header.start() if header else len(text)
    starts = sorted({0, *starts})
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        line = text.count("\n", 0, start) + 1
        at = next((u for u in unclosed if start <= u < end), None)
        place = None
        if at is not None:
            place = (text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1)
        yield line, text[start:end], place


def _explain(path: str, error: UnexpectedInput, report: Reporter, text: str) -> None:
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        token: Token = error.token
        shown = str(token).split("\n", 1)[0]
        span = Span(path, token.line or 1, token.column or 1, max(1, len(shown)))
        _report_expected(report, f"unexpected `{shown}`", span, error.expected, shown)
    elif isinstance(error, UnexpectedCharacters):
        lines = text.split("\n")
        rest = lines[error.line - 1][error.column - 1 :] if error.line <= len(lines) else ""
        span = Span(path, error.line, error.column)
        if rest.startswith('"'):
            report.error(
                "this string is not closed or has an unknown escape",
                span,
                'strings end on their line and know `\\"`, `\\\\` and `\\n`; long texts stand in `"""`',
            )
        else:
            _report_expected(report, f"unexpected character `{rest[:1]}`", span, error.allowed or (), "")
    elif isinstance(error, UnexpectedToken | UnexpectedEOF):
        line, column = _last_word(error)
        _report_expected(
            report, "the declaration ends too early", Span(path, line, column), error.expected, ""
        )


def _last_word(error: UnexpectedToken | UnexpectedEOF) -> tuple[int, int]:
    token = error.token
    return (token.line or 1, token.column or 1) if isinstance(token, Token) else (1, 1)


def _report_expected(report: Reporter, message: str, span: Span, expected: Iterable[str], shown: str) -> None:
    names = sorted({_shown(name) for name in expected})
    keywords = [n.strip("`") for n in names if n.startswith("`") and n.strip("`").isidentifier()]
    close = nearest(shown, keywords) if shown and shown not in keywords else None
    if close is not None:
        report.error(message, span, f"did you mean `{close}`?")
    elif 0 < len(names) <= 10:
        report.error(message, span, f"expected {' or '.join(names)}")
    else:
        report.error(message, span)


def _shown(terminal: str) -> str:
    if terminal in _NAMES:
        return _NAMES[terminal]
    return f"`{terminal.lstrip('_').lower()}`"
