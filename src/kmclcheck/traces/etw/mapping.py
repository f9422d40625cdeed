"""How a driver's own event and field names become functions, phases and parameters.

A mapping is a list of rules, tried in order; the first that fits an event takes it. ``docs/mapping.md``
explains the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from kmclcheck.model.event import ArgValue, End, Event, Phase
from kmclcheck.traces.etw.record import FieldValue, Record
from kmclcheck.traces.etw.templates import Template, TemplateError
from kmclcheck.traces.records import split_words

PHASES = {
    **{phase.value: phase for phase in Phase},
    "enter": Phase.CALL, "entry": Phase.CALL, "begin": Phase.CALL,
    "exit": Phase.RET, "leave": Phase.RET, "return": Phase.RET, "end": Phase.RET,
}  # fmt: skip
_PARTS = ("seq", "irql", "status", "endpoint", "cpu", "pid", "tid")
_GUID = re.compile(r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?")
_NAME = re.compile(r"[A-Za-z_]\w*")
MAX_RULES = 1000
MEMORY = 4096
# Longer names are no parameters, and native traces could not hold them.
MAX_NAME = 128


class MappingError(ValueError):
    """A mapping is wrong. ``rule`` is the number of the rule from 0, ``key`` the key in it, if known."""

    def __init__(self, message: str, rule: int | None = None, key: str = "") -> None:
        super().__init__(message)
        self.rule = rule
        self.key = key


@dataclass(frozen=True, slots=True)
class Marker:
    """An event that says something about the trace: a driver was loaded, or is gone.

    ``endpoint`` is the driver, if there are several; ``seq`` the event's number, if it has one.
    ``lost``: from here on the numbers of the events do not tell all that is missing.
    """

    start: bool = False
    end: End | None = None
    endpoint: str = ""
    seq: int | None = None
    lost: bool = False


@dataclass(slots=True)
class Rule:
    """One rule of a mapping, with its patterns ready to match."""

    provider: Template | None = None
    guid: str = ""
    id: int | None = None
    event: Template | None = None
    message: Template | None = None
    where: dict[str, FieldValue] = field(default_factory=dict)
    function: Template | None = None
    phase: Template | None = None
    functions: dict[str, str] = field(default_factory=dict)
    phases: dict[str, Phase] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    args: dict[str, str] | None = None
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    constants: dict[str, ArgValue] = field(default_factory=dict)
    records: tuple[str, ...] = ()
    start: bool = False
    end: End | None = None
    lost: bool = False
    ignore: bool = False

    @property
    def marks(self) -> bool:
        """Whether the rule is about the trace, not about a call."""
        return self.start or self.end is not None or self.lost or self.ignore

    def names(self, record: Record) -> dict[str, FieldValue] | None:
        """Return what provider and event name tell, or ``None`` if the rule fits no event of this kind."""
        found: dict[str, FieldValue] = {}
        if self.guid and record.guid != self.guid:
            return None
        if self.id is not None and record.id != self.id:
            return None
        if self.message is not None and not record.message:
            return None
        for template, text in ((self.provider, record.provider), (self.event, record.event)):
            if template is not None:
                more = template.match(text)
                if more is None:
                    return None
                found |= more
        return found

    def fits(self, record: Record, names: dict[str, FieldValue]) -> dict[str, FieldValue] | None:
        """Return everything that the event tells, by name, or ``None`` if the rule does not fit it."""
        values = {**record.fields, **names} if names else record.fields
        if self.message is not None:
            more = self.message.match(record.message)
            if more is None:
                return None
            values = {**values, **more}
        for name, value in self.where.items():
            if values.get(name) != value:
                return None
        return values


class _Parameters:
    """Names of fields seen so far, and those of them that can name a parameter. Bounded."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.good: set[str] = set()

    def learn(self, names: Iterable[str]) -> None:
        if len(self.seen) > MEMORY:
            self.seen.clear()
            self.good.clear()
        short = [name for name in names if len(name) <= MAX_NAME]
        self.seen.update(short)
        self.good.update(name for name in short if _NAME.fullmatch(name))


class _Shape:
    """A rule for events of one kind whose function and phase are settled by their provider and name.

    It makes the events that ``_event`` makes, at a third of the cost; nearly all events are of this sort.
    """

    def __init__(
        self, rule: Rule, names: dict[str, FieldValue], name: str, phase: Phase, parameters: _Parameters
    ) -> None:
        self._parameters = parameters
        self._name = name
        self._phase = phase
        self._used = _used(rule) | names.keys()
        self._constants: dict[str, ArgValue] = {
            n: v for n, v in names.items() if n not in _used(rule) and _NAME.fullmatch(n)
        }
        self._constants |= rule.constants
        # No field is named None, so what a rule does not name is found nowhere.
        self._keys: list[Any] = [rule.parts.get(part) for part in _PARTS]
        self._endpoint = str(names.get(rule.parts.get("endpoint", ""), ""))

    def make(self, record: Record) -> Event:
        """Return the event that the record means."""
        fields = record.fields
        good, used = self._parameters.good, self._used
        if not fields.keys() <= self._parameters.seen:
            self._parameters.learn(fields)
        args: dict[str, ArgValue] = {n: v for n, v in fields.items() if n in good and n not in used}
        if self._constants:
            args.update(self._constants)
        get = fields.get
        seq_key, irql_key, status_key, endpoint_key, cpu_key, pid_key, tid_key = self._keys
        seq, irql, status = get(seq_key), get(irql_key), get(status_key)
        endpoint = None if self._endpoint else get(endpoint_key)
        return Event(
            self._name, self._phase, args, status & 0xFFFFFFFF if isinstance(status, int) else status,
            seq if isinstance(seq, int) and seq >= 0 else None, record.time,
            record.cpu if cpu_key is None else _natural(get(cpu_key), record.cpu),
            record.pid if pid_key is None else _natural(get(pid_key), record.pid),
            record.tid if tid_key is None else _natural(get(tid_key), record.tid),
            irql if isinstance(irql, int) and irql >= 0 else None,
            self._endpoint if endpoint is None else str(endpoint), record.line, record.offset,
        )  # fmt: skip


def _shape(rule: Rule, names: dict[str, FieldValue], parameters: _Parameters) -> _Shape | None:
    """Return the shape of the events that have these names, ``None`` if their fields decide more."""
    if rule.marks or rule.message is not None or rule.where or rule.args is not None or rule.keys:
        return None
    if any(source in names for part, source in rule.parts.items() if part != "endpoint"):
        return None
    event = _event(rule, Record(), names)
    settled = {n for t in (rule.function, rule.phase) if t is not None for n in t.names}
    if event is None or not settled <= names.keys():
        return None
    return _Shape(rule, names, event.name, event.phase, parameters)


_Candidate = tuple[Rule, dict[str, FieldValue], _Shape | None]


class Mapping:
    """Rules in order. ``used`` is the rule that fitted last."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self.used: Rule | None = None
        self._known: dict[tuple[object, ...], list[_Candidate]] = {}
        self._parameters = _Parameters()

    def __add__(self, other: Mapping) -> Mapping:
        """Return both, this one first."""
        return Mapping(self.rules + other.rules)

    def map(self, record: Record) -> Event | Marker | None:
        """Return what the record means, or ``None`` if no rule fits it.

        A record to be ignored is an empty Marker.
        """
        for rule, names, shape in self._candidates(record):
            if shape is not None:
                self.used = rule
                return shape.make(record)
            values = rule.fits(record, names)
            if values is not None:
                made = _marker(rule, values) if rule.marks else _event(rule, record, values)
                if made is not None:
                    self.used = rule
                    return made
        return None

    def concerns(self, record: Record) -> bool:
        """Say whether a rule may fit a record of which only a part is known."""
        if record.event or record.id:
            return bool(self._candidates(record))
        return any(
            (not rule.guid or rule.guid == record.guid)
            and (
                rule.provider is None
                or not record.provider
                or rule.provider.match(record.provider) is not None
            )
            for rule in self.rules
        )

    def _candidates(self, record: Record) -> list[_Candidate]:
        """Return the rules that fit the record's provider and name, with what these tell."""
        kind = record.provider, record.guid, record.event, record.id, bool(record.message)
        rules = self._known.get(kind)
        if rules is None:
            rules = [
                (rule, names, _shape(rule, names, self._parameters))
                for rule in self.rules
                if (names := rule.names(record)) is not None
            ]
            if len(self._known) < MEMORY:
                self._known[kind] = rules
        return rules


def _marker(rule: Rule, values: dict[str, FieldValue]) -> Marker:
    endpoint = str(values.get(rule.parts.get("endpoint", ""), ""))
    return Marker(rule.start, rule.end, endpoint, _natural(values.get(rule.parts.get("seq", ""))), rule.lost)


def _event(rule: Rule, record: Record, values: dict[str, FieldValue]) -> Event | None:
    function = "" if rule.function is None else rule.function.fill(values)
    phase = "whole" if rule.phase is None else rule.phase.fill(values)
    if not function or phase is None:
        return None
    known = rule.phases.get(phase) or PHASES.get(phase.lower())
    name = rule.functions.get(function, function)
    if known is None or not _NAME.fullmatch(name):
        return None
    parts = {part: values[source] for part, source in rule.parts.items() if source in values}
    args: dict[str, ArgValue]
    if rule.args is not None:
        args = {ours: values[theirs] for ours, theirs in rule.args.items() if theirs in values}
    else:
        used = _used(rule)
        # A nested or odd name can be no parameter, and native traces could not hold it.
        args = {
            n: v for n, v in values.items() if n not in used and len(n) <= MAX_NAME and _NAME.fullmatch(n)
        }
    for ours, theirs_all in rule.keys.items():
        args[ours] = _key([values.get(theirs, "") for theirs in theirs_all])
    args.update(rule.constants)
    status = parts.get("status")
    if isinstance(status, int):
        status &= 0xFFFFFFFF
    endpoint = parts.get("endpoint")
    return Event(
        name, known, args, status,
        _natural(parts.get("seq")), record.time,
        _natural(parts.get("cpu"), record.cpu), _natural(parts.get("pid"), record.pid),
        _natural(parts.get("tid"), record.tid), _natural(parts.get("irql")),
        "" if endpoint is None else str(endpoint), record.line, record.offset,
    )  # fmt: skip


def _key(values: list[FieldValue]) -> int:
    """Return one number for several values, for objects that have no handle of their own."""
    text = "/".join(str(value).lower() for value in values)
    return int.from_bytes(blake2b(text.encode(), digest_size=7).digest(), "big")


def _used(rule: Rule) -> set[str]:
    """Return names that have a meaning of their own, so that they are no parameters."""
    used = set(rule.parts.values()) | set(rule.where)
    for template in (rule.function, rule.phase):
        used.update(template.names if template is not None else ())
    return used


def _natural(value: FieldValue | None, otherwise: int | None = None) -> int | None:
    return value if isinstance(value, int) and value >= 0 else otherwise


def mapping_from(table: dict[str, Any]) -> Mapping:
    """Return the mapping that a table of a settings file describes. Raises MappingError."""
    entries = table.get("map", [])
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise MappingError("map has to be a list of tables: [[map]]", None, "map")
    if len(entries) > MAX_RULES:
        raise MappingError(f"more than {MAX_RULES} rules", None, "map")
    return Mapping([_rule(number, entry) for number, entry in enumerate(entries)])


KEYS = (
    "provider", "event", "id", "message", "where", "function", "phase", "functions", "phases", "args",
    "keys", "constants", "records", "start", "end", "lost", "ignore", *_PARTS,
)  # fmt: skip


def _rule(number: int, entry: dict[str, Any]) -> Rule:
    def wrong(key: str, message: str) -> MappingError:
        return MappingError(message, number, key)

    def word(key: str) -> str:
        value = entry.get(key, "")
        if not isinstance(value, str):
            raise wrong(key, f"{key!r} has to be a string")
        return value

    def template(key: str) -> Template | None:
        text = word(key)
        try:
            return Template(text) if text else None
        except TemplateError as error:
            raise wrong(key, f"{error} (column {error.column} of {text!r})") from None

    def table(key: str, kind: type | tuple[type, ...], what: str) -> dict[str, Any]:
        value = entry.get(key, {})
        if not isinstance(value, dict) or not all(type(v) in _types(kind) for v in value.values()):
            raise wrong(key, f"{key!r} has to be a table of {what}")
        return value

    def switch(key: str) -> bool:
        value = entry.get(key, False)
        if not isinstance(value, bool):
            raise wrong(key, f"{key!r} has to be true or false")
        return value

    for key in entry:
        if key not in KEYS:
            raise wrong(key, f"unknown key {key!r} in a rule of the mapping")
    rule = Rule(event=template("event"), message=template("message"))
    guid = _GUID.fullmatch(word("provider"))
    if guid is not None:
        rule.guid = guid[1].lower()
    else:
        rule.provider = template("provider")
    rule.id = entry.get("id")
    if rule.id is not None and type(rule.id) is not int:
        raise wrong("id", "'id' has to be a number")
    rule.function, rule.phase = template("function"), template("phase")
    captured = {n for t in (rule.provider, rule.event, rule.message) if t is not None for n in t.names}
    if rule.function is None and "function" in captured:
        rule.function = Template("{function}")
    if rule.phase is None and "phase" in captured:
        rule.phase = Template("{phase}")
    rule.where = {
        k: int(v) if isinstance(v, bool) else v for k, v in table("where", (str, int, bool), "values").items()
    }
    rule.functions = table("functions", str, "strings")
    for theirs, ours in table("phases", str, "strings").items():
        if ours.lower() not in PHASES:
            raise wrong("phases", f"unknown phase {ours!r}; phases are {', '.join(p.value for p in Phase)}")
        rule.phases[theirs] = PHASES[ours.lower()]
    rule.args = table("args", str, "strings") if "args" in entry else None
    rule.constants = _plain(table("constants", (str, int, bool), "strings and numbers"))
    rule.keys = {ours: tuple(theirs) for ours, theirs in table("keys", list, "lists of names").items()}
    rule.parts = {part: word(part) for part in _PARTS if part in entry}
    if "endpoint" in captured:
        rule.parts.setdefault("endpoint", "endpoint")
    try:
        rule.records = tuple(split_words(word("records")))
    except ValueError as error:
        raise wrong("records", f"{str(error)!r} is no word of a declaration of what is recorded") from None
    rule.start, rule.lost, rule.ignore = switch("start"), switch("lost"), switch("ignore")
    end = word("end")
    if end and end not in [e.value for e in End]:
        raise wrong("end", f"'end' is one of {', '.join(e.value for e in End)}")
    rule.end = End(end) if end else None
    if not rule.marks and rule.function is None:
        raise wrong("function", "a rule needs a function, by its own key or as {function} in a pattern")
    return rule


def _types(kind: type | tuple[type, ...]) -> tuple[type, ...]:
    return kind if isinstance(kind, tuple) else (kind,)


def _plain(values: dict[str, Any]) -> dict[str, ArgValue]:
    """Return the values with 1 and 0 for true and false, as traces have them."""
    return {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}
