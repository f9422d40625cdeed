"""Renderers: one file per format in ``formats/``, each of which registers itself."""

from kmclcheck.report.base import (
    InputFailure,
    Known,
    KnownFinding,
    Renderer,
    ReportOptions,
    RunResult,
    ToolInfo,
)
from kmclcheck.report.fingerprint import fingerprint
from kmclcheck.report.registry import format_names, get_renderer, register, wants_density

__all__ = [
    "InputFailure",
    "Known",
    "KnownFinding",
    "Renderer",
    "ReportOptions",
    "RunResult",
    "ToolInfo",
    "fingerprint",
    "format_names",
    "get_renderer",
    "register",
    "wants_density",
]
