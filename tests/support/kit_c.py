"""C text for the tests of the capture kit: a header with the names of KMCL, a library that does little,
and a program that calls everything once. All of it follows from the specification alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

from kmclcheck.model.spec import Direction, EventDecl, Param, Spec
from kmclcheck.speclang import bundled_spec

STATES = ("Opened", "Closed", "Suspend", "Started", "PostStarted")
STRUCTURE = "PVMB_CHANNEL_STATE_CHANGE_CALLBACKS"


@cache
def spec() -> Spec:
    return bundled_spec()


@cache
def functions() -> tuple[EventDecl, ...]:
    """Return the members of the two interfaces of version 1."""
    return tuple(d for d in spec().events.values() if not d.callback and d.interface in _INTERFACES)


@cache
def callbacks() -> tuple[EventDecl, ...]:
    return tuple(d for d in spec().events.values() if d.callback and d.interface in _INTERFACES)


_INTERFACES = ("client-v1", "server-only")


def page(decl: EventDecl) -> str:
    """Return the name of the reference page, which is that of the C type."""
    (name,) = {s.removeprefix("P:") for s in decl.sources if s.startswith(("P:FN_", "P:EVT_"))} & _pages(decl)
    return name


def _pages(decl: EventDecl) -> set[str]:
    """A function may have several sources; its own page is its name with other letters."""
    plain = decl.name.lower()
    own = [s.removeprefix("P:") for s in decl.sources]
    return {p for p in own if p.removeprefix("FN_").replace("_", "").lower() == plain}


def pointer_type(decl: EventDecl) -> str:
    """Return the type of a pointer to the function or callback, as the reference names it."""
    return "P" + page(decl) if not decl.callback else "PFN_" + page(decl).removeprefix("EVT_")


def real(decl: EventDecl) -> list[Param]:
    """Return the parameters that C knows."""
    return [p for p in decl.params if not p.extra and p.name != "Return"]


def declared(decl: EventDecl) -> str:
    return ", ".join(f"{p.type.replace('*', ' *')} {p.name}" for p in real(decl))


def named(decl: EventDecl) -> str:
    return ", ".join(p.name for p in real(decl))


def kmcl_header() -> str:
    """Return a header that declares what kmcltrace.h needs of KMCL, and no more."""
    lines = ["#ifndef STUB_KMCL_H", "#define STUB_KMCL_H", ""]
    lines += [f"DECLARE_HANDLE({name});" for name in ("VMBCHANNEL", "VMBPACKET", "VMBPACKETCOMPLETION")]
    lines += [f"typedef {d.returns} (*{pointer_type(d)})({declared(d)});" for d in callbacks()]
    lines += ["typedef struct _VMB_CHANNEL_STATE_CHANGE_CALLBACKS {", "    ULONG Version;", "    ULONG Size;"]
    lines += [f"    {pointer_type(spec().events['EvtVmbChannel' + n])} EvtChannel{n};" for n in STATES]
    lines += [f"}} VMB_CHANNEL_STATE_CHANGE_CALLBACKS, *{STRUCTURE};"]
    lines += [
        f"FORCEINLINE VOID VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT({STRUCTURE} Callbacks)",
        "{",
        "    memset(Callbacks, 0, sizeof(*Callbacks));",
        "    Callbacks->Version = 1;",
        "    Callbacks->Size = sizeof(*Callbacks);",
        "}",
    ]
    lines += [f"typedef {d.returns} (*{pointer_type(d)})({declared(d)});" for d in functions()]
    client = [f"    {pointer_type(d)} {d.name};" for d in functions() if d.interface == "client-v1"]
    server = [f"    {pointer_type(d)} {d.name};" for d in functions() if d.interface == "server-only"]
    lines += ["typedef struct _KMCL_CLIENT_INTERFACE_V1 {", *client, "} KMCL_CLIENT_INTERFACE_V1;"]
    lines += ["typedef struct _KMCL_SERVER_INTERFACE_V1 {", *client, *server, "} KMCL_SERVER_INTERFACE_V1;"]
    return "\n".join([*lines, "", "#endif", ""])


def fake_defaults() -> str:
    """Return a function for every member that only succeeds, and a function that fills an interface.

    A program that defines FAKE_HAS_<name> brings its own.
    """
    lines = []
    for decl in functions():
        lines += [
            f"#ifndef FAKE_HAS_{decl.name}",
            f"static {decl.returns} Fake_{decl.name}({declared(decl)})",
            "{",
        ]
        lines += [f"    (void){p.name};" for p in real(decl)]
        lines += [f"    return ({decl.returns})0;"] if decl.returns != "VOID" else []
        lines += ["}", "#endif"]
    for kind, members in (("CLIENT", [d for d in functions() if d.role and d.interface == "client-v1"]),
                          ("SERVER", list(functions()))):  # fmt: skip
        name = f"KMCL_{kind}_INTERFACE_V1"
        lines += [f"static inline void FakeFill{kind.title()}({name} *Interface)", "{"]
        lines += [f"    Interface->{d.name} = Fake_{d.name};" for d in members]
        lines += ["}"]
    return "\n".join([*lines, ""])


@dataclass(frozen=True, slots=True)
class Expected:
    """What one record must hold, in the order of the program: names and values of all parameters."""

    name: str
    phase: str
    args: dict[str, int | str]
    status: int | None


GUID = "{11223344-5566-7788-99aa-bbccddeeff00}"
C_GUID = "{ 0x11223344, 0x5566, 0x7788, { 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00 } }"
# What a pointer points at when a value lies behind it: type, value before the call, value after it.
BEHIND: dict[str, tuple[str, int, int]] = {
    "MmioAddress": ("UINT64", 0, 0xF000000012345678),
    "MmioSize": ("UINT64", 0, 1 << 40),
    "OriginalLatency": ("UINT16", 0, 65535),
    "CompletionBufferSize": ("UINT32", 64, 48),
    "Timeout": ("LARGE_INTEGER", -5_000_000_000, -5_000_000_000),
    "Mdl": ("PMDL", 0, 0x7A00),
    "BytesFilled": ("ULONG", 0, 512),
    "BytesRequired": ("ULONG", 0, 900),
    "BytesNeeded": ("UINT32", 0, 96),
    "KernelHandle": ("HANDLE", 0, 0x7B00),
    "Channel": ("VMBCHANNEL", 0, 0x7C00),
    "GpadlHandle": ("UINT32", 0, 0x7D),
}
NARROW = {"BOOLEAN": 1, "UINT8": 0xFE, "UINT16": 0xFFFE}


class Exercise:
    """A program that calls every function once, with values of its own for every parameter.

    The library under it compares what arrives, calls the callbacks it gets with such values, too, and
    fills in what comes back. ``expected`` are the records, in order.
    """

    def __init__(self) -> None:
        self.expected: list[Expected] = []
        self._numbers = count(0x1001)
        self._lines: list[str] = [
            '#include "machine.h"',
            "#define KMCLTRACE_IMPLEMENTATION",
            '#include "kmcltrace.h"',
            "",
        ]
        self._main: list[str] = []
        for decl in callbacks():
            self._driver_callback(decl)
        for decl in functions():
            self._one(decl)

    @property
    def text(self) -> str:
        fill = [f"    server.{d.name} = Fake_{d.name};" for d in functions()]
        body = ["int main(void)", "{", "    static KMCL_SERVER_INTERFACE_V1 server;", *fill]
        body += ["    MACHINE_START();", "    REQUIRE(KmclTraceWrapServerInterface(&server));"]
        # Once more does no harm.
        body += ["    REQUIRE(KmclTraceWrapServerInterface(&server));", *self._main]
        body += ["    KmclTraceStop();", "    return 0;", "}", ""]
        return "\n".join(self._lines + body)

    def _value(self, param: Param, owner: str) -> tuple[str, int | str]:
        """Declare a variable for an argument, and return its name and value in a trace."""
        name = f"{owner}_{param.name}"
        number = next(self._numbers)
        plain: int | str = NARROW.get(param.type, number)
        if param.type == "GUID":
            self._lines.append(f"static GUID {name} = {C_GUID};")
            return name, GUID
        if _is_behind(param):
            type_, before, _ = BEHIND[param.name]
            initial = f"{{ {before} }}" if type_ == "LARGE_INTEGER" else f"({type_}){before}"
            self._lines.append(f"static {type_} {name}_value = {initial};")
            self._lines.append(f"#define {name} (&{name}_value)")
            return name, -1  # an address that nobody knows
        cast = f"({param.type})(ULONG_PTR)" if _is_pointer(param) else f"({param.type})"
        self._lines.append(f"#define {name} ({cast}{plain:#x})")
        return name, plain

    def _driver_callback(self, decl: EventDecl) -> None:
        """Write the driver's callback, and a function by which the library calls one."""
        values = [(p, *self._value(p, decl.name)) for p in real(decl)]
        fields = self._behind(decl)
        body = [f"    REQUIRE({p.name} == {name});" for p, name, _ in values]
        body += [f"    *{p.name} = {BEHIND[p.name][2]};" for p in real(decl) if _is_behind(p)]
        # A failure, so that the record shows what a callback gives back.
        body += ["    return STATUS_BUFFER_TOO_SMALL;"] if decl.returns == "NTSTATUS" else []
        self._lines += [f"static {decl.returns} Driver_{decl.name}({declared(decl)})", "{", *body, "}"]
        call = f"Routine({', '.join(name for _, name, _ in values)})"
        if decl.returns == "NTSTATUS":
            call = f"REQUIRE({call} == Wanted)"
        self._lines += [
            f"static VOID Call_{decl.name}({pointer_type(decl)} Routine, NTSTATUS Wanted)", "{",
            "    (void)Wanted;", f"    REQUIRE(Routine != Driver_{decl.name});", f"    {call};", "}",
        ]  # fmt: skip
        entry = {p.name: value for p, _, value in values}
        handles = {p.name: value for p, _, value in values if p.kind}
        self._callback_records = getattr(self, "_callback_records", {})
        self._callback_records[decl.name] = (entry, {**handles, **fields[1]}, decl.returns == "NTSTATUS")

    def _behind(self, decl: EventDecl) -> tuple[dict[str, int | str], dict[str, int | str]]:
        """Return the values behind pointers, before and after."""
        entry: dict[str, int | str] = {}
        back: dict[str, int | str] = {}
        names = {p.name: p for p in real(decl)}
        for extra in (p for p in decl.params if p.extra and p.name.removesuffix("Value") in names):
            pointer = names[extra.name.removesuffix("Value")]
            _, before, after = BEHIND[pointer.name]
            if pointer.direction is not Direction.OUT:
                entry[extra.name] = before
            if pointer.direction is not Direction.IN:
                back[extra.name] = after
        return entry, back

    def _expect(self, name: str, phase: str, args: dict[str, int | str], status: int | None = None) -> None:
        self.expected.append(Expected(name, phase, args, status))

    def _expect_callback(self, name: str, status: int) -> None:
        entry, back, has_status = self._callback_records[name]
        self._expect(name, "in", entry)
        self._expect(name, "out", back, status if has_status else None)

    def _one(self, decl: EventDecl) -> None:
        before, after = self._behind(decl)
        if any(p.type == STRUCTURE for p in real(decl)):
            self._registration(decl)
            return
        values = [(p, *self._value(p, decl.name)) for p in real(decl) if not p.type.startswith("PFN_")]
        known = {p.name: (name, value) for p, name, value in values}
        made = {p.name for p in real(decl) if p.kind and _is_behind(p)}
        entry = {
            p.name: -1 if p.type.startswith("PFN_") else known[p.name][1]
            for p in real(decl)
            if p.name not in made
        }
        self._expect(decl.name, "call", {**entry, **before})
        body = []
        for p in real(decl):
            if p.type.startswith("PFN_"):
                (callback,) = (c for c in callbacks() if pointer_type(c) == p.type)
                body.append(f"    Call_{callback.name}({p.name}, STATUS_BUFFER_TOO_SMALL);")
                self._expect_callback(callback.name, 0xC0000023)
            elif p.type == "GUID":
                body.append(f"    REQUIRE(memcmp(&{p.name}, &{known[p.name][0]}, sizeof(GUID)) == 0);")
            else:
                body.append(f"    REQUIRE({p.name} == {known[p.name][0]});")
        for p in real(decl):
            if _is_behind(p) and p.direction is not Direction.IN:
                type_, _, value = BEHIND[p.name]
                cast = "(ULONG_PTR)" if type_ in ("PMDL", "HANDLE", "VMBCHANNEL") else ""
                body.append(f"    *{p.name} = ({type_}){cast}{value:#x};")
        back = {p.name: known[p.name][1] for p in real(decl) if p.kind and p.name not in made}
        back |= {name: BEHIND[name][2] for name in made} | after
        arguments = ", ".join(
            f"Driver_{next(c.name for c in callbacks() if pointer_type(c) == p.type)}"
            if p.type.startswith("PFN_") else known[p.name][0]
            for p in real(decl)
        )  # fmt: skip
        call, status = f"server.{decl.name}({arguments})", None
        if decl.returns == "NTSTATUS":
            body.append("    return STATUS_SUCCESS;")
            call, status = f"REQUIRE({call} == STATUS_SUCCESS)", 0
        elif decl.returns != "VOID":
            number = next(self._numbers)
            cast = f"({decl.returns})" if decl.returns == "UINT32" else f"({decl.returns})(ULONG_PTR)"
            body.append(f"    return {cast}{number:#x};")
            call = f"REQUIRE({call} == {cast}{number:#x})"
            back["Return"] = number
        self._lines += [f"static {decl.returns} Fake_{decl.name}({declared(decl)})", "{", *body, "}"]
        self._main.append(f"    {call};")
        self._expect(decl.name, "ret", back, status)

    def _registration(self, decl: EventDecl) -> None:
        """The driver fills the first two slots; the library finds and calls all five."""
        channel, structure = real(decl)
        name, value = self._value(channel, decl.name)
        flags = dict.fromkeys(STATES, 1)
        self._expect(decl.name, "call", {
            channel.name: value, structure.name: -1, "Version": 1, "Size": 48, **flags,
        })  # fmt: skip
        body = [f"    REQUIRE({channel.name} == {name});"]
        for state in STATES:
            callback = f"EvtVmbChannel{state}"
            filled = state in STATES[:2]
            wanted = "STATUS_BUFFER_TOO_SMALL" if filled else "STATUS_SUCCESS"
            body.append(f"    Call_{callback}({structure.name}->EvtChannel{state}, {wanted});")
            self._expect_callback(callback, 0xC0000023 if filled else 0)
        body.append("    return STATUS_SUCCESS;")
        self._lines += [f"static {decl.returns} Fake_{decl.name}({declared(decl)})", "{", *body, "}"]
        self._main += ["    {", "        VMB_CHANNEL_STATE_CHANGE_CALLBACKS given;",
                       "        VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&given);"]  # fmt: skip
        self._main += [f"        given.EvtChannel{s} = Driver_EvtVmbChannel{s};" for s in STATES[:2]]
        self._main += [f"        REQUIRE(server.{decl.name}({name}, &given) == STATUS_SUCCESS);",
                       # What the driver passed is its own.
                       "        REQUIRE(given.EvtChannelOpened == Driver_EvtVmbChannelOpened);",
                       "        REQUIRE(given.EvtChannelSuspend == NULL);", "    }"]  # fmt: skip
        self._expect(decl.name, "ret", {channel.name: value}, 0)


def _is_pointer(param: Param) -> bool:
    return param.type.startswith(("P", "LP", "VMB")) or param.type == "HANDLE"


def _is_behind(param: Param) -> bool:
    """Whether the shim looks at what the parameter points at."""
    if param.name not in BEHIND:
        return False
    return param.type.endswith("*") or param.type in (
        "PUINT16",
        "PUINT32",
        "PULONG",
        "PHANDLE",
        "PLARGE_INTEGER",
    )


def write_headers(folder: Path) -> None:
    """Write the generated headers for the test programs."""
    (folder / "vmbuskernelmodeclientlibapi.h").write_text(kmcl_header(), encoding="ascii")
    (folder / "fake_defaults.h").write_text(fake_defaults(), encoding="ascii")
