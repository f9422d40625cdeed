"""A short attack on the reader of logs; ``python -m tests.fuzz.etl`` runs longer ones."""

from __future__ import annotations

import pytest

from tests.fuzz.etl import read, run, seeds


def test_whole_seeds_are_read() -> None:
    for seed in seeds():
        read(seed)


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_logs(seed: int) -> None:
    outcome = run(200, seed, seconds=3.5)
    assert outcome.cases >= 20
