"""What the shim records of each function and callback: the parameters of the specification, in C."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kmclcheck.model.spec import Direction, EventDecl, Param, Spec

# The interfaces with published prototypes.
CLIENT, SERVER = "client-v1", "server-only"
STATUS, VOID, RETURN = "NTSTATUS", "VOID", "Return"
RESULT = {STATUS: "status"}

# Macro of the header, and the most characters that its value takes in a line.
_NUMBERS = {
    "BOOLEAN": "U8",
    "UINT8": "U8",
    "UINT16": "U16",
    "UINT32": "U32",
    "ULONG": "U32",
    "UINT64": "U64",
    "INT64": "I64",
    "NTSTATUS": "NTSTATUS",
    "GUID": "GUID",
}
_WIDTHS = {"U8": 3, "U16": 5, "U32": 10, "U64": 20, "I64": 20, "NTSTATUS": 10, "GUID": 40, "POINTER": 18}

# Byte counts that a function fills in when it fails, too: they say how much would have been needed.
_FILLED_ON_FAILURE = frozenset({"BytesFilled", "BytesRequired", "BytesNeeded", "CompletionBufferSize"})


class UnknownTypeError(ValueError):
    """The API uses a type that the shim does not know how to record."""


_C_TYPES = {
    "U8": "UCHAR",
    "U16": "USHORT",
    "U32": "UINT32",
    "U64": "ULONG64",
    "I64": "LONG64",
    "POINTER": "PVOID",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: its name, the macro of the header that writes it, and its value in C.

    ``fetched``: the value lies in memory of the driver's, which may be pageable. It is fetched into a
    variable before the record is begun, since that is written at DISPATCH_LEVEL.
    """

    name: str
    macro: str
    value: str
    fetched: bool = False

    @property
    def text(self) -> str:
        """The field as an argument of a macro that writes a record."""
        quoted = {"status": "KMCLTRACE_STATUS", "return": "KMCLTRACE_RETURN"}.get(self.name)
        value = f"trace{self.name}" if self.fetched else self.value
        return f"KMCLTRACE_{self.macro}({value}, {quoted or chr(34) + self.name + chr(34)})"

    @property
    def variable(self) -> str:
        """The declaration of the variable that it is fetched into."""
        type_ = _C_TYPES[self.macro]
        return f"const {type_} trace{self.name} = ({type_})({self.value});"

    @property
    def width(self) -> int:
        """How many characters of a line it takes at most, with the blank before it."""
        return len(self.name) + 2 + _WIDTHS[self.macro]


@dataclass(frozen=True, slots=True)
class Slot:
    """A callback in the structure of state callbacks: the field that says it is filled, and its place."""

    field: str
    member: str
    callback: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function or callback as C sees it. ``parameters`` are the real ones, without the extras."""

    decl: EventDecl
    parameters: tuple[Param, ...]
    entry: tuple[Field, ...]
    exit: tuple[Field, ...]

    @property
    def name(self) -> str:
        return self.decl.name

    @property
    def returns(self) -> str:
        """The C type it returns."""
        return self.decl.returns

    @property
    def result(self) -> str:
        """The variable that holds what it returns; empty if nothing."""
        return "" if self.returns == VOID else RESULT.get(self.returns, "result")

    @property
    def server(self) -> bool:
        """Whether it belongs to the part of the interface that only servers get."""
        return self.decl.interface == SERVER

    @property
    def declaration(self) -> list[str]:
        """The parameters with their types."""
        return [_declared(p.type, p.name) for p in self.parameters]

    @property
    def arguments(self) -> list[str]:
        return [p.name for p in self.parameters]


def calls_of(spec: Spec) -> tuple[list[Call], list[Call]]:
    """Return the functions and callbacks of the interfaces that the shim wraps, in the order of the spec.

    Raises:
        UnknownTypeError: a parameter has a type that is not known here.

    """
    made = [_call(spec, decl) for decl in spec.events.values() if decl.interface in (CLIENT, SERVER)]
    return [c for c in made if not c.decl.callback], [c for c in made if c.decl.callback]


def code_type(callback: EventDecl) -> str:
    """Return the type of a pointer to such a callback, as EvtVmbChannelOpened has PFN_VMB_CHANNEL_OPENED."""
    words = re.findall(r"[A-Z][a-z0-9]*", callback.name.removeprefix("Evt"))
    return "PFN_" + "_".join(words).upper()


def registration_of(calls: list[Call]) -> Call:
    """Return the function that registers the state callbacks: the one that takes a structure of them."""
    (found,) = (call for call in calls if slots_of(call.decl))
    return found


def slots_of(decl: EventDecl) -> tuple[Slot, ...]:
    """Return the state callbacks that a function registers, by the extras that say whether each is there."""
    return tuple(
        Slot(p.name, f"EvtChannel{p.name}", f"EvtVmbChannel{p.name}")
        for p in decl.params
        if p.extra and p.type == "BOOLEAN" and _pointer_of(decl, p) is None
    )


def is_code(param: Param) -> bool:
    """Whether the parameter is a callback of the driver's."""
    return param.type.startswith("PFN_")


def _call(spec: Spec, decl: EventDecl) -> Call:
    # What a function returns is a parameter of its event, too, but not one in C.
    parameters = tuple(p for p in decl.params if not p.extra and p.name != RETURN)
    entry = [_by_value(decl, p) for p in parameters if not _is_made(spec, p)]
    back = [_handle_back(spec, decl, p) for p in parameters if p.kind is not None]
    for extra in (p for p in decl.params if p.extra):
        pointer = _pointer_of(decl, extra)
        if pointer is None:
            entry.append(_member(decl, extra))
            continue
        if pointer.direction is not Direction.OUT:
            entry.append(Field(extra.name, _macro(decl, extra), _pointee(pointer), fetched=True))
        if pointer.direction is not Direction.IN:
            back.append(Field(extra.name, _macro(decl, extra), _filled(decl, pointer), fetched=True))
    if decl.returns == STATUS:
        back.append(Field("status", "NTSTATUS", "status"))
    elif decl.returns != VOID:
        macro = "POINTER" if _is_pointer(spec, decl.returns) else _NUMBERS[decl.returns]
        back.append(Field("return", macro, "result"))
    return Call(decl, parameters, tuple(entry), tuple(back))


def _is_made(spec: Spec, param: Param) -> bool:
    """Whether the parameter points at the place for a handle that the function makes."""
    if param.kind is None or param.direction is not Direction.OUT:
        return False
    return param.type != spec.kinds[param.kind].handle_type


def _by_value(decl: EventDecl, param: Param) -> Field:
    if is_code(param):
        return Field(param.name, "POINTER", f"KMCLTRACE_ADDRESS({param.name})")
    return Field(param.name, _macro(decl, param), param.name)


def _handle_back(spec: Spec, decl: EventDecl, param: Param) -> Field:
    """A return names the objects again, so that it can be told from others even after a loss."""
    if not _is_made(spec, param):
        return _by_value(decl, param)
    macro = "U32" if param.type in ("PUINT32", "PULONG") else "POINTER"
    return Field(param.name, macro, f"KMCLTRACE_IF(NT_SUCCESS(status), {_pointee(param)})", fetched=True)


def _filled(decl: EventDecl, pointer: Param) -> str:
    """What a function left behind a pointer. Where it need not have written, nothing is read."""
    if decl.returns != STATUS or pointer.name in _FILLED_ON_FAILURE:
        return _pointee(pointer)
    return f"KMCLTRACE_IF(status == STATUS_SUCCESS, {_pointee(pointer)})"


def _pointee(pointer: Param) -> str:
    if pointer.type == "PLARGE_INTEGER":
        return f"KMCLTRACE_IF({pointer.name} != NULL, {pointer.name}->QuadPart)"
    return f"KMCLTRACE_AT({pointer.name})"


def _pointer_of(decl: EventDecl, extra: Param) -> Param | None:
    """Return the parameter that points at this value, or ``None`` if it lies in a structure."""
    for param in decl.params:
        if extra.name == f"{param.name}Value":
            return param
    return None


def _member(decl: EventDecl, extra: Param) -> Field:
    """A value in the structure that is registered. ``passed`` is the copy that the library gets."""
    (structure,) = (p.name for p in decl.params if p.type.endswith("_CALLBACKS"))
    for slot in slots_of(decl):
        if slot.field == extra.name:
            return Field(extra.name, "U8", f"KMCLTRACE_BOUND({structure}, {slot.member})", fetched=True)
    return Field(extra.name, _macro(decl, extra), f"KMCLTRACE_IN({structure}, {extra.name})", fetched=True)


def _macro(decl: EventDecl, param: Param) -> str:
    if param.type in _NUMBERS:
        return _NUMBERS[param.type]
    # Handles, and pointers under the names that Windows gives to them.
    if param.kind is not None or re.fullmatch(r"HANDLE|(P|LP)[A-Z]\w*|\w+\*", param.type):
        return "POINTER"
    raise UnknownTypeError(f"{decl.name}: parameter {param.name} of type {param.type}")


def _is_pointer(spec: Spec, type_: str) -> bool:
    return type_ == "PVOID" or any(kind.handle_type == type_ for kind in spec.kinds.values())


def _declared(type_: str, name: str) -> str:
    return f"{type_[:-1]} *{name}" if type_.endswith("*") else f"{type_} {name}"
