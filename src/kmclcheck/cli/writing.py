"""Where results go: files that are complete or not there, and standard output."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO

import click


def check_writable(path: str) -> None:
    """Say that a file cannot be written before the time is spent on what goes into it.

    Raises UsageError if it is a folder, or is to lie in one that does not exist.
    """
    parent = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise click.UsageError(f"cannot write {path}: it is a folder")
    if not os.path.isdir(parent):
        raise click.UsageError(f"cannot write {path}: there is no folder {parent}")


@contextmanager
def binary_output(target: str | None) -> Iterator[BinaryIO]:
    """Give the stream to write to; ``None`` and - are standard output.

    A file takes its place only when it is complete: whatever was there before stays if writing fails.
    """
    if target is None or target == "-":
        yield sys.stdout.buffer
        return
    if os.path.exists(target) and not os.path.isfile(target) and not os.path.isdir(target):
        # A pipe or a device is written as it comes.
        with open(target, "wb") as stream:
            yield stream
        return
    check_writable(target)
    part = target + ".part"
    try:
        with open(part, "wb") as stream:
            yield stream
        os.replace(part, target)
    finally:
        if os.path.exists(part):
            os.remove(part)


@contextmanager
def text_output(target: str | None) -> Iterator[TextIO]:
    """Give the stream to write text to, as ``binary_output`` does; files have the same bytes everywhere."""
    if target is None or target == "-":
        yield sys.stdout
        return
    with binary_output(target) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="\n")
        try:
            yield text
        finally:
            text.detach()
