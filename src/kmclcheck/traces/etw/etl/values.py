"""Values that are more than a number, as text: the forms in which the tools of Windows print them."""

from __future__ import annotations

from struct import Struct

_GUID = Struct("<IHH")
_SYSTEMTIME = Struct("<8H")
SID_HEAD = 8
_SID_PART = 4


def guid(data: bytes) -> str:
    """Return a GUID in lower case without braces; its first three numbers are little-endian."""
    first, second, third = _GUID.unpack_from(data)
    rest = data[8:16].hex()
    return f"{first:08x}-{second:04x}-{third:04x}-{rest[:4]}-{rest[4:]}"


def braced_guid(data: bytes) -> str:
    """Return a GUID as the value of a field."""
    return f"{{{guid(data)}}}"


def system_time(data: bytes) -> str:
    """Return a SYSTEMTIME in the form of ISO 8601."""
    year, month, _, day, hour, minute, second, milli = _SYSTEMTIME.unpack_from(data)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}"


def sid(data: bytes) -> str:
    """Return a security identifier, such as S-1-5-18."""
    parts = [str(int.from_bytes(data[2:SID_HEAD], "big"))]
    for at in range(SID_HEAD, len(data), _SID_PART):
        parts.append(str(int.from_bytes(data[at : at + _SID_PART], "little")))
    return "-".join([f"S-{data[0]}", *parts])


def narrow(data: bytes) -> str:
    """Return text of one byte a character: UTF-8, else the code page of Western Europe."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def wide(data: bytes) -> str:
    """Return text of two bytes a character."""
    return data.decode("utf-16-le", "replace")
