"""Damages files at random, and watches what a reader makes of them. Knows nothing of any format.

A format gives whole files (*seeds*) and perhaps *words* that mean something in it; ``attack`` does the rest::

    attack(lambda data: read(data), [whole, another], cases=300, seed=1, words=[b"<Event>", b'"'])
"""

from __future__ import annotations

import random
import signal
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from kmclcheck.diagnostics import InputError

# Numbers at which sizes, counts and offsets go wrong.
EDGES = (0, 1, 2, 7, 8, 0x47, 0x48, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000,
         0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)  # fmt: skip
MAX_CHANGES = 6
MAX_GROWTH = 64 << 10
MAX_REPEATS = 2000

# Bounds for one file. The time is that of the processor, which a busy machine does not stretch.
SECONDS = 2.0
MEMORY_FLOOR, MEMORY_PER_BYTE = 4 << 20, 64
# Watching memory makes reading several times slower, so only every so many cases are watched.
MEMORY_EVERY = 8


def mutate(data: bytes, rng: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Return a damaged copy: up to MAX_CHANGES changes, never much longer than the original."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, MAX_CHANGES)):
        rng.choice(_CHANGES)(changed, rng, words)
        del changed[2 * len(data) + MAX_GROWTH :]
    return bytes(changed)


def _place(data: bytearray, rng: random.Random) -> int:
    # The beginning holds what everything else is read by.
    limit = len(data) if rng.random() < 0.7 else min(len(data), 512)
    return rng.randrange(limit) if limit else 0


def _slice(data: bytearray, rng: random.Random) -> tuple[int, int]:
    at = _place(data, rng)
    return at, min(len(data), at + rng.choice((1, 2, 4, 8, 16, 80, 400, 4000)))


def _flip(data: bytearray, rng: random.Random, words: Sequence[bytes]) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _number(data: bytearray, rng: random.Random, words: Sequence[bytes]) -> None:
    width = rng.choice((1, 2, 4, 8))
    at = _place(data, rng)
    if rng.random() < 0.6:
        at -= at % width
    value = rng.choice(EDGES) if rng.random() < 0.8 else rng.getrandbits(64)
    data[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")


def _remove(data: bytearray, rng: random.Random, words: Sequence[bytes]) -> None:
    begin, end = _slice(data, rng)
    del data[begin:end]


def _truncate(data: bytearray, rng: random.Random, words: Sequence[bytes]) -> None:
    if rng.random() < 0.3:
        del data[_place(data, rng) :]


def _blank(data: bytearray, rng: random.Random, words: Sequence[bytes]) -> None:
    begin, end = _slice(data, rng)
    data[begin:end] = bytes([rng.choice((0, 0xFF, 0x20))]) * (end - begin)


def _noise(data: bytearray, rng: random.Random, words: Sequence[bytes]) -> None:
    begin, end = _slice(data, rng)
    data[begin:end] = rng.randbytes(end - begin)


def _move(data: bytearray, rng: random.Random, words: Sequence[bytes]) -> None:
    begin, end = _slice(data, rng)
    at = _place(data, rng)
    data[at:at] = data[begin:end]


def _repeat(data: bytearray, rng: random.Random, words: Sequence[bytes]) -> None:
    begin, end = _slice(data, rng)
    data[end:end] = data[begin:end] * min(rng.randint(1, MAX_REPEATS), MAX_GROWTH // max(end - begin, 1))


def _word(data: bytearray, rng: random.Random, words: Sequence[bytes]) -> None:
    at = _place(data, rng)
    word = rng.choice(words) if words else rng.randbytes(rng.randint(1, 8))
    end = at + len(word) if rng.random() < 0.5 else at
    data[at:end] = word


_CHANGES = (
    _flip,
    _flip,
    _number,
    _number,
    _number,
    _remove,
    _truncate,
    _blank,
    _noise,
    _move,
    _repeat,
    _word,
)


@dataclass
class Outcome:
    """What an attack came to: cases tried, files refused, and the worst of the bounds seen."""

    cases: int = 0
    refused: int = 0
    slowest: float = 0.0
    most_memory: float = 0.0


class FoundError(AssertionError):
    """A reader misbehaved. ``data`` is the file that did it."""

    def __init__(self, message: str, data: bytes) -> None:
        super().__init__(message)
        self.data = data


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after so much time of the processor, where the system can."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def attack(
    read: Callable[[bytes], object],
    seeds: Sequence[bytes],
    cases: int,
    seed: int = 0,
    words: Sequence[bytes] = (),
    seconds: float | None = None,
) -> Outcome:
    """Give damaged seeds to ``read``, which may raise InputError and nothing else.

    Case n of a seed is the same in every run. ``seconds`` ends the attack earlier. Raises FoundError.
    """
    outcome = Outcome()
    started = time.monotonic()
    for number in range(cases):
        if seconds is not None and time.monotonic() - started > seconds:
            break
        rng = random.Random(f"{seed}/{number}")
        data = mutate(rng.choice(seeds), rng, words)
        _try(read, data, number % MEMORY_EVERY == 0, outcome, f"case {number} of seed {seed}")
    return outcome


def _try(read: Callable[[bytes], object], data: bytes, watched: bool, outcome: Outcome, name: str) -> None:
    outcome.cases += 1
    begun = time.process_time()
    if watched:
        tracemalloc.start()
    try:
        with _bounded(SECONDS * (4 if watched else 1)):
            read(data)
    except InputError:
        outcome.refused += 1
    except TimeoutError:
        raise FoundError(f"{name}: not done after {SECONDS} s", data) from None
    except Exception as error:
        raise FoundError(f"{name}: {type(error).__name__}: {error}", data) from error
    finally:
        peak = tracemalloc.get_traced_memory()[1] if watched else 0
        tracemalloc.stop()
    if watched:
        outcome.most_memory = max(outcome.most_memory, peak / (len(data) + 1))
        if peak > MEMORY_FLOOR + MEMORY_PER_BYTE * len(data):
            raise FoundError(f"{name}: {peak} bytes of memory for {len(data)} bytes of input", data)
    else:
        outcome.slowest = max(outcome.slowest, time.process_time() - begun)
