"""The generated parts of kmcltrace.h."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from kmclcheck.capturekit.records import (
    Call,
    Field,
    calls_of,
    code_type,
    is_code,
    registration_of,
    slots_of,
)
from kmclcheck.model.spec import Spec

KIT_VERSION = 1
WIDTH = 100
_GUARD, _UNGUARD = "#ifndef KMCLTRACE_NO_SERVER", "#endif"

# What the shim does beside recording, by function: before the call is recorded, and after the return is.
_BEFORE = {
    "VmbChannelEnable": "    KmclTraceRegisterOwn(Channel);\n",
    # The handle may be given out again as soon as the library has it back.
    "VmbChannelCleanup": "    (VOID)KmclTraceForget(Channel);\n",
}
_AFTER = {
    "VmbChannelAllocate": "    if (NT_SUCCESS(status)) {\n        KmclTraceRemember(*Channel);\n    }\n",
}


def header_parts(spec: Spec) -> dict[str, str]:
    """Return the text for every place of the template that depends on the API."""
    functions, callbacks = calls_of(spec)
    longest = max(len(fields) for call in functions + callbacks for fields in (call.entry, call.exit))
    client = [call for call in functions if not call.server]
    server = [call for call in functions if call.server]
    register = registration_of(functions)
    return {
        "kit_version": str(KIT_VERSION),
        "line_size": str(_line_size(functions + callbacks)),
        "etw_writes": "\n".join(_etw_write(count) for count in range(1, longest + 1)),
        "line_writes": "\n".join(_line_write(count) for count in range(1, longest + 1)),
        "callbacks": "\n".join(_guarded(callbacks, lambda c: _callback(c, register))),
        "indexes": "\n".join(_guarded(functions, lambda c: f"    KMCLTRACE_INDEX_{c.name},")),
        "prototypes": "\n".join(_guarded(functions, _prototype)),
        "register": register.name,
        "fill": "\n".join(
            f"    Copy->{s.member} = KmclTraceBind_{s.callback}(Given->{s.member});"
            for s in slots_of(register.decl)
        ),
        "functions": "\n".join(_guarded(functions, lambda c: _function(c, register))),
        "client_members": _members(client),
        "server_members": _members(server),
    }


def _guarded(calls: list[Call], text: Callable[[Call], str]) -> Iterator[str]:
    """Give the texts of calls, with those that only servers have between preprocessor lines."""
    for server, group in groupby(calls, lambda call: call.server):
        if server:
            yield _GUARD
        yield from (text(call) for call in group)
        if server:
            yield _UNGUARD


def _line_size(calls: Iterable[Call]) -> int:
    """Return the bytes of the longest line that can be written, with its line feed and zero byte."""
    number, processor, identifier, irql, phase = 20, 10, 16, 3, 4
    head = 2 * number + processor + 2 * identifier + 1 + irql + phase + 6
    return max(
        head + len(call.name) + sum(field.width for field in fields) + 2
        for call in calls
        for fields in (call.entry, call.exit)
    )


def _letters(count: int) -> list[str]:
    return [chr(ord("A") + number) for number in range(count)]


def _etw_write(count: int) -> str:
    names = ", ".join(_letters(count))
    return (
        f"#define KMCLTRACE_WRITE{count}(Name, Phase, {names}) \\\n"
        "    do { \\\n"
        "        const KIRQL kmclTraceIrql = KmclTraceEnter(); \\\n"
        "        const ULONG64 kmclTraceNumber = KmclTraceNext(); \\\n"
        '        TraceLoggingWrite(KmclTraceProvider, Name "." Phase, \\\n'
        '            TraceLoggingUInt64(kmclTraceNumber, "Seq"), \\\n'
        '            TraceLoggingUInt8(kmclTraceIrql, "Irql"), \\\n'
        f"            {names}); \\\n"
        "        KmclTraceLeave(kmclTraceIrql); \\\n"
        "    } while (0)"
    )


def _line_write(count: int) -> str:
    names = ", ".join(_letters(count))
    return (
        f"#define KMCLTRACE_WRITE{count}(Name, Phase, {names}) \\\n"
        "    do { \\\n"
        f"        const KMCLTRACE_FIELD kmclTraceFields[] = {{ {names} }}; \\\n"
        f"        KmclTraceWriteLine(Name, Phase, kmclTraceFields, {count}); \\\n"
        "    } while (0)"
    )


def _write(call: Call, phase: str, fields: tuple[Field, ...]) -> str:
    fetched = [field.variable for field in fields if field.fetched]
    indent = "        " if fetched else "    "
    text = f'{indent}KMCLTRACE_WRITE{len(fields)}("{call.name}", "{phase}",\n'
    text += _listed([field.text for field in fields], indent + "    ") + ");\n"
    if not fetched:
        return text
    return "    {\n" + "".join(f"{indent}{line}\n" for line in fetched) + "\n" + text + "    }\n"


def _listed(items: list[str], indent: str) -> str:
    """Return items with commas between them, on as many lines as they need."""
    lines = [indent + items[0]]
    for item in items[1:]:
        if len(lines[-1]) + len(item) + 5 <= WIDTH:
            lines[-1] += f", {item}"
        else:
            lines[-1] += ","
            lines.append(indent + item)
    return "\n".join(lines)


def _with_list(head: str, items: list[str], tail: str, indent: str = "") -> str:
    """Return a declaration or call, on one line if it fits."""
    line = f"{indent}{head}({', '.join(items)}){tail}"
    if len(line) <= WIDTH:
        return line
    return f"{indent}{head}(\n{_listed(items, indent + '    ')}){tail}"


def _signature(returns: str, name: str, parameters: list[str], start: str = "static ") -> str:
    return _with_list(f"{start}{returns} {name}", parameters, "")


def _continued(text: str) -> str:
    """Return lines as the text of a macro, without the last line's end."""
    return " \\\n".join(text.splitlines())


def _prototype(call: Call) -> str:
    name = f"KMCLTRACE_FN_{call.name}"
    type_ = _signature(call.returns, name, call.declaration, "typedef ")
    return f"{type_};\nstatic {name} KmclTrace_{call.name};"


def _callback(call: Call, register: Call) -> str:
    """Return the functions that stand for the driver's callbacks of one kind."""
    name, type_ = call.name, code_type(call.decl)
    optional = name in {slot.callback for slot in slots_of(register.decl)}
    assign = f"{call.result} = " if call.result else ""
    give_back = "return " if call.result else ""
    called = _with_list(
        f"{assign}(({type_})(ULONG_PTR)Function)", call.arguments, ";", "        " if optional else "    "
    )
    text = f"/* {name} */\n\nstatic PVOID volatile KmclTraceTable_{name}[16];\n\n"
    text += _signature(call.returns, f"KmclTraceRun_{name}", ["PVOID Function", *call.declaration]) + "\n{\n"
    if call.result:
        text += f"    {call.returns} {call.result}{' = STATUS_SUCCESS' if optional else ''};\n\n"
    text += _write(call, "in", call.entry)
    text += f"    if (Function != NULL) {{\n{called}\n    }}\n" if optional else f"{called}\n"
    text += _write(call, "out", call.exit)
    text += f"    return {call.result};\n" if call.result else ""
    text += "}\n\n"
    slot = _signature(call.returns, f"KmclTraceSlot##N##_{name}", call.declaration)
    run = f"{give_back}KmclTraceRun_{name}"
    inner = _with_list(run, [f"KmclTraceTable_{name}[N]", *call.arguments], ";", "    ")
    text += _continued(f"#define KMCLTRACE_SLOT_{name}(N)\n{slot}\n{{\n{inner}\n}}") + "\n"
    text += (
        f"#define KMCLTRACE_NAME_{name}(N) KmclTraceSlot##N##_{name},\n"
        f"KMCLTRACE_EACH_SLOT(KMCLTRACE_SLOT_{name})\n"
        f"static const {type_} KmclTraceSlots_{name}[] = {{\n"
        f"    KMCLTRACE_EACH_SLOT(KMCLTRACE_NAME_{name})\n"
        "};\n\n"
    )
    nothing = "NULL"
    if optional:
        nothing = f"KmclTraceEmpty_{name}"
        text += "/* Stands in an empty slot. */\n"
        text += _signature(call.returns, nothing, call.declaration) + "\n{\n"
        text += _with_list(run, ["NULL", *call.arguments], ";", "    ") + "\n}\n\n"
    return text + (
        _signature(type_, f"KmclTraceBind_{name}", [f"{type_} Function"]) + "\n"
        "{\n"
        "    LONG slot;\n\n"
        "    if (Function == NULL) {\n"
        f"        return {nothing};\n"
        "    }\n"
        f"    slot = KmclTraceClaim(KmclTraceTable_{name}, KMCLTRACE_ADDRESS(Function));\n"
        "    if (slot < 0) {\n"
        f'        KmclTraceLose("more than KMCLTRACE_SLOTS functions for {name}");\n'
        "        return Function;\n"
        "    }\n"
        f"    return KmclTraceSlots_{name}[slot];\n"
        "}\n"
    )


def _function(call: Call, register: Call) -> str:
    """Return the function that takes the place of one of the library's."""
    registers = call is register
    text = _signature(call.returns, f"KmclTrace_{call.name}", call.declaration) + "\n{\n"
    locals_: list[str] = []
    if registers:
        locals_ += [
            "    VMB_CHANNEL_STATE_CHANGE_CALLBACKS copy;\n",
            f"    PVMB_CHANNEL_STATE_CHANGE_CALLBACKS passed = KmclTraceFill({_structure(call)}, &copy);\n",
        ]
    # Bound before the call is recorded: if that fails, the records from this call on have to tell.
    bound = {p.name: f"bound{p.name}" for p in call.parameters if is_code(p)}
    callbacks = {p.name: p.type for p in call.parameters if is_code(p)}
    locals_ += [
        f"    {type_} {bound[name]} =\n        KmclTraceBind_{_callback_name(type_)}({name});\n"
        for name, type_ in callbacks.items()
    ]
    if call.result:
        locals_.append(f"    {call.returns} {call.result};\n")
    text += "".join(locals_) + ("\n" if locals_ else "")
    text += _BEFORE.get(call.name, "")
    text += _write(call, "call", call.entry)
    arguments = [
        "passed" if registers and p.name == _structure(call) else bound.get(p.name, p.name)
        for p in call.parameters
    ]
    assign = f"{call.result} = " if call.result else ""
    text += _with_list(f"{assign}KMCLTRACE_REAL({call.name})", arguments, ";", "    ") + "\n"
    text += _write(call, "ret", call.exit)
    text += _AFTER.get(call.name, "")
    if registers:
        text += (
            "    if (NT_SUCCESS(status)) {\n"
            "        (VOID)KmclTraceForget(Channel);\n"
            "        if (passed != &copy) {\n"
            '            KmclTraceLose("state callbacks in a structure of another version");\n'
            "        }\n"
            "    }\n"
        )
    text += f"    return {call.result};\n" if call.result else ""
    return text + "}\n"


def _structure(register: Call) -> str:
    (name,) = (p.name for p in register.parameters if p.type.endswith("_CALLBACKS"))
    return name


def _callback_name(type_: str) -> str:
    """Return the callback of such a pointer: PFN_VMB_CHANNEL_OPENED points at an EvtVmbChannelOpened."""
    return "Evt" + "".join(word.capitalize() for word in type_.removeprefix("PFN_").split("_"))


def _members(calls: list[Call]) -> str:
    return " \\\n".join(f"    KMCLTRACE_WRAP(Interface, {call.name})" for call in calls)
