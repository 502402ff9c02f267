"""Attributions whose answer is known: simulated continuations with a planted germination and without it."""

from __future__ import annotations

from functools import lru_cache

from support.headers import small_header
from support.planted_dynamics import planted

from domain.commands import GraftingStrategy
from domain.events import RunForked, SeedGerminated, TestScored
from domain.karn.no_invention import NoInvention
from domain.tamiyo.controls import FixedSchedule
from domain.tamiyo.without import With, Without
from domain.urza.catalogue import INITIAL, registrations
from engine.evaluation.paired import Difference
from engine.evaluation.worth import Worth, worth
from engine.randomness import stream
from engine.session import Session
from engine.sink import Tape
from engine.trainers.simulated.trainer import SimulatedTrainer
from scenarios.whatif.attribution import continuation_keys

EPOCH, EPOCHS = 3, 20
SEED = "0.0"
PAIRS = 8
LIBRARY = registrations()
DYNAMICS = planted(still_host=True, noise=0.05)
"""The host learns nothing, so that what a graft costs it is nothing either."""


def arms(name: str) -> tuple[With, Without]:
    """A policy that grows nothing but the blueprint ``name`` at ``EPOCH``, and the same without that."""
    number, reads = next(
        (place, metadata.default_reads.value)
        for place, (_, metadata) in enumerate(INITIAL, start=1)
        if metadata.name == name
    )
    nothing = FixedSchedule(str(EPOCHS + 1))
    grown = With(nothing, SEED, EPOCH, number, reads, GraftingStrategy.FIXED_RAMP.value)
    return grown, Without(grown, SEED, EPOCH, never=True)


@lru_cache(maxsize=8192)
def continued(run_key: int, name: str | None, key: int) -> float:
    """Final test accuracy of a run that goes on under ``key`` from the epoch before ``EPOCH``, where ``name`` germinates.

    None: nothing does.
    """
    header = small_header(epochs=EPOCHS, run_key=run_key, layers=1)
    policy = arms("no_op")[1] if name is None else arms(name)[0]
    told = Tape()
    session = Session(SimulatedTrainer(DYNAMICS), policy, NoInvention(), told)
    session.plant(header, LIBRARY)
    while session.state.epoch < EPOCH - 1:
        session.step()
    forked = RunForked(
        epoch=EPOCH, parent="planted", parent_digest="00" * 32, header=header.model_copy(update={"run_key": key})
    )
    session.fork(forked, policy, NoInvention(), session.memories, session.saved)
    while session.state.ending is None:
        session.step()
    grown = [event.epoch for event in told.events if isinstance(event, SeedGerminated)]
    assert grown == ([] if name is None else [EPOCH]), grown
    return next(e.accuracy for e in told.events if isinstance(e, TestScored) and e.occasion == "ending")


def planted_trial(name: str, run_key: int, *, shared: bool) -> tuple[Difference, Worth]:
    """What planting ``name`` in one run is found to be worth.

    With ``shared`` both of a pair have one key, as they do in an attribution; else the one without it has a key of its
    own, so that no noise cancels and the interval alone has to hold.
    """
    keys = continuation_keys(run_key, PAIRS if shared else 2 * PAIRS)
    return worth(
        [continued(run_key, name, key) for key in keys[:PAIRS]],
        [continued(run_key, None, key) for key in keys[-PAIRS:]],
        estimand=f"what planting {name} was worth",
        generator=stream(run_key, "attribution/bootstrap"),
    )
