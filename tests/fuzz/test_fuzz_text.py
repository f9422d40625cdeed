"""A short attack on the readers of text; ``python -m tests.fuzz.text`` runs longer ones."""

from __future__ import annotations

import pytest

from kmclcheck.model.event import Event
from tests.fuzz.text import FORMATS, run, seeds
from tests.support.etw_text import open_bytes, sniffed


@pytest.mark.parametrize("format", FORMATS)
def test_whole_seeds_are_read(format: str) -> None:
    for seed in seeds(format):
        assert sniffed(seed[:4096]) == [format]
        list(open_bytes(seed, format))
    if format not in ("tracerpt-csv",):
        assert any(isinstance(item, Event) for item in open_bytes(seeds(format)[0], format))


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_files(format: str) -> None:
    outcome = run(format, 150, seed=1, seconds=1.5)
    assert outcome.cases >= 10
