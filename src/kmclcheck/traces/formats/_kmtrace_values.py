"""Values of the native format, shared by its fast path, its grammar path and its writer."""

from __future__ import annotations

from kmclcheck.model.event import ArgValue, Phase

VERSION = 1
MAX_ARGUMENTS = 64
MAX_ENDPOINTS = 256
MAX_CPU = 0xFFFF
MAX_IRQL = 0xFF
MAX_UNSIGNED = (1 << 64) - 1
MIN_SIGNED = -(1 << 63)

PHASES = {phase.value: phase for phase in Phase}
BOOLEANS = {"TRUE": 1, "FALSE": 0}

# Keys by which a short line gives the columns it leaves out, with the greatest value of each.
COLUMN_LIMITS = {
    "seq": MAX_UNSIGNED,
    "time": MAX_UNSIGNED,
    "cpu": MAX_CPU,
    "pid": MAX_UNSIGNED,
    "tid": MAX_UNSIGNED,
    "irql": MAX_IRQL,
}

NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
PLACE_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_.:/\-]{0,127}"


def number(text: str) -> int:
    """Return the value of a decimal or ``0x`` literal; ValueError if it does not fit 64 bits."""
    value = int(text, 16) if text[:2] in ("0x", "0X") else int(text)
    if not MIN_SIGNED <= value <= MAX_UNSIGNED:
        raise ValueError("the number does not fit 64 bits")
    return value


def status_value(value: ArgValue) -> ArgValue:
    """Return a status as an unsigned 32-bit number, or its name.

    ``%d`` prints a failed NTSTATUS as a negative number and ``%I64x`` sign-extends it; both mean
    the same status. ValueError if the number is no 32-bit number in any of these ways.
    """
    if isinstance(value, str) or 0 <= value <= 0xFFFFFFFF:
        return value
    if -0x80000000 <= value < 0 or value >= 0xFFFFFFFF80000000:
        return value & 0xFFFFFFFF
    raise ValueError("the status does not fit 32 bits")
