"""The identifier of a TraceLogging provider, which follows from its name."""

from __future__ import annotations

from hashlib import sha1
from uuid import UUID

# EventSource and the tools that take a name hash it together with this.
_NAMESPACE = UUID("482c2db2-c390-47c8-87f8-1a15bfc130fb")


def provider_guid(name: str) -> UUID:
    """Return the GUID of the provider of this name, whatever the case of its letters.

    SHA-1 over the namespace and the name in upper case as UTF-16 with the high byte first. The first 16
    bytes are the GUID as Windows lays it out in memory, with 5, for a hashed name, in the upper half of the
    eighth.
    """
    digest = sha1(_NAMESPACE.bytes + name.upper().encode("utf-16-be"), usedforsecurity=False).digest()
    laid_out = bytearray(digest[:16])
    laid_out[7] = laid_out[7] & 0x0F | 0x50
    return UUID(bytes_le=bytes(laid_out))


def c_initializer(guid: UUID) -> str:
    """Return the GUID as TRACELOGGING_DEFINE_PROVIDER takes it: eleven numbers in parentheses."""
    first, second, third = guid.fields[:3]
    numbers = [f"0x{first:08x}", f"0x{second:04x}", f"0x{third:04x}"]
    numbers += [f"0x{byte:02x}" for byte in guid.bytes[8:]]
    return f"({', '.join(numbers)})"
