"""The explicit-state search steps as the readable stepper does, and estimates no more than is needed."""

from __future__ import annotations

import os
import time
from functools import cache

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from kmclcheck.engines.explore.choices import Bounds, Choices
from kmclcheck.engines.explore.cone import Cone
from kmclcheck.engines.explore.estimate import Estimate
from kmclcheck.engines.explore.meaning import Meanings
from kmclcheck.engines.explore.records import as_events
from kmclcheck.engines.explore.search import Found, Search
from kmclcheck.engines.explore.steps import Broken, Semantics, told
from kmclcheck.engines.explore.world import NOTHING, Choice, World
from kmclcheck.engines.shortest import info, judged_with
from kmclcheck.model.event import End
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import SpecIndex, build_index
from kmclcheck.semantics.stepper import Stepper
from kmclcheck.speclang import bundled_spec

PROFILE = settings(
    max_examples=int(os.environ.get("KMCLCHECK_EXAMPLES", "150")),
    derandomize="KMCLCHECK_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# The kinds of records that lead somewhere are drawn more often than those that only take part.
DEEDS = (
    "VmbChannelAllocate", "VmbChannelEnable", "EvtVmbChannelOpened", "EvtVmbChannelStarted",
    "EvtVmbChannelPostStarted", "EvtVmbChannelProcessPacket", "EvtVmbChannelSuspend", "EvtVmbChannelClosed",
    "VmbChannelPause", "VmbChannelDisable", "VmbPacketAllocate", "VmbPacketSend", "VmbPacketFree",
    "VmbChannelPacketGetExternalData", "VmbChannelPacketDeferToPassive", "VmbChannelPacketComplete",
)  # fmt: skip


@cache
def engine() -> tuple[Spec, SpecIndex, Semantics, Choices]:
    """Return everything of the core at once: two channels, two objects of each other kind."""
    spec = bundled_spec()
    core = judged_with(spec, "incoming-disposed")
    cone = Cone(spec).reach(sorted(core))
    meanings = Meanings(spec, cone, core)
    bounds = Bounds(threads=3, depth=3, objects=(("channel", 2),), others=2)
    return spec, build_index(spec, core), Semantics(meanings), Choices(meanings, bounds)


def steps_from(world: World) -> list[tuple[Choice, World, list[Broken]]]:
    """Return every record that may come next, with what it does."""
    _, _, semantics, choices = engine()
    found = []
    for choice in choices.after(world, choices.events):
        made = semantics.step(world, choice)
        if made is not None:
            found.append((choice, *made))
    return found


@PROFILE
@given(st.data())
def test_steps_agree(data: st.DataObject) -> None:
    """Along a random walk that breaks nothing, every field and the first broken rules are the same."""
    spec, index, semantics, _ = engine()
    stepper = Stepper(spec, index, info(End.STOPPED))
    world, path, worlds = NOTHING, [], []
    for _ in range(data.draw(st.integers(4, 30), label="length")):
        possible = steps_from(world)
        if not possible:
            return
        # A broken rule ends the walk, so most of them are avoided.
        kept = [one for one in possible if not one[2]]
        if kept and data.draw(st.integers(0, 24)):
            possible = kept
        names = sorted({choice.name for choice, _, _ in possible})
        likely = [name for name in names if name in DEEDS] or names
        name = data.draw(st.sampled_from(likely if data.draw(st.integers(0, 3)) else names))
        good = [one for one in possible if one[0].name == name]
        choice, world, broken = data.draw(st.sampled_from(good))
        path.append(choice)
        worlds.append(world)
        event = as_events(spec, path, worlds)[-1]
        note(
            f"{event.phase.value} {event.name} tid={event.tid} {event.args} {event.status} irql={event.irql}"
        )
        stepper.feed(event)
        assert stepper.world.sound, "a loss"
        assert {r[0] for r in stepper.reported} == {one[0].id for one in told(world, broken)}
        if broken:
            return
        assert fields_of(stepper) == fields_in(world, semantics, spec)


def fields_of(stepper: Stepper) -> list[tuple[str, ...]]:
    """Return the living objects that the stepper knows, without their handles."""
    return sorted(
        (thing.kind.name, *("|".join(sorted(now.values)) for now in thing.fields.values()))
        for thing in stepper.world.things.values()
        if not thing.ended and thing.kind.name != "thread"
    )


def fields_in(world: World, semantics: Semantics, spec: Spec) -> list[tuple[str, ...]]:
    """Return the living objects of a world in the same way."""
    found = []
    for thing in world.things:
        if not thing.ended and not thing.replaced:
            values = [
                "|".join(sorted(v for at, v in enumerate(enum.values) if now >> at & 1))
                for enum, now in zip(spec.kinds[thing.kind].enums.values(), thing.fields, strict=True)
            ]
            found.append((thing.kind, *values))
    return sorted(found)


RULES = (
    "channel-cleanup-disabled", "gpadl-create-when-open", "lg-closed-when-drained", "packet-freed-eventually",
    "incoming-complete-once", "gpadl-deleted-by-close", "incoming-disposed", "save-ended", "restore-loop",
)  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_estimate_is_never_too_large(rule: str) -> None:
    """On the way to a counterexample, what is estimated is at most what is still needed."""
    spec = bundled_spec()
    core = judged_with(spec, rule)
    search = Search(spec, rule, frozenset(), Bounds(), core - {rule})
    found = search.run(time.perf_counter() + 60)
    assert isinstance(found, Found)
    for number, world in enumerate((NOTHING, *found.worlds[:-1])):
        left = len(found.choices) - number
        assert search.estimate(world) <= search.estimate(world, closely=True) <= left


class Nothing(Estimate):
    """Expects nothing of the records to come: the search is then a plain breadth-first one."""

    def __call__(self, world: World, closely: bool = False) -> int:
        return 0


@pytest.mark.parametrize(
    "rule",
    ["channel-cleanup-disabled", "enable-when-disabled", "start-when-enabled", "packet-no-use-after-free",
     "gpadl-unmap-mapped", "save-end-after-begin", "lg-no-callback-while-disabled", "channel-cleaned-up"],
)  # fmt: skip
def test_plain_breadth_first_finds_the_same_length(rule: str) -> None:
    spec = bundled_spec()
    lengths = []
    for plain in (False, True):
        search = Search(spec, rule, frozenset(), Bounds(), frozenset())
        if plain:
            search.estimate = Nothing(search.relaxed)
            search.relaxed.needed = dict.fromkeys(search.relaxed.needed, ())
            search._frames = {}
        found = search.run(time.perf_counter() + 60)
        assert isinstance(found, Found)
        lengths.append(len(found.choices))
    assert lengths[0] == lengths[1]
