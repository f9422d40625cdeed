"""The capture kit: what a driver is built with, and captured with, to get a trace that can be checked."""

from kmclcheck.capturekit.kit import KIT_FILES, kit_files
from kmclcheck.capturekit.provider import provider_guid

__all__ = ["KIT_FILES", "kit_files", "provider_guid"]
