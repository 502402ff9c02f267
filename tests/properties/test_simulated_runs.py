"""Whole simulated runs: every invariant holds, runs repeat, resume and verify, and a fit finds what was planted."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.endings import RunEnding
from domain.events import DomainEvent, EpochSealed
from domain.header import RunHeader
from domain.karn.no_invention import NoInvention
from domain.run import rebuild
from domain.tamiyo.policy import TamiyoPolicy
from domain.tamiyo.random_growth import RandomGrowth
from engine.checkers import check
from engine.journal.journal import Journal
from engine.recording import JournalSink
from engine.replay import replay, same_state, verify
from engine.session import EpochView, Session
from engine.sink import Tape
from engine.trainers.recorded import RecordedTrainer
from engine.trainers.simulated.dynamics import Dynamics, KeyEffect
from engine.trainers.simulated.features import distance
from engine.trainers.simulated.fitting import fit
from engine.trainers.simulated.histories import History, history
from engine.trainers.simulated.state import controllers_in
from engine.trainers.simulated.stores import Deferred
from engine.trainers.simulated.trainer import SimulatedTrainer
from engine.trainers.simulated.validation import DISTANCE_MAX, ask, calibrate, rank_correlation
from engine.trainers.stores import MemoryStore
from scenarios import composition, specification
from scenarios.runs import simulation
from scenarios.specification import BadInput
from tests.support.headers import small_header
from tests.support.planted_dynamics import planted, simulated

KEYS = tuple(
    KeyEffect(run_key=key, level=level, haste=haste)
    for key, (level, haste) in enumerate(itertools.product((-0.3, 0.0, 0.3), (-0.3, 0.3)))
)
BUILT_IN = [*sorted(set(composition.TAMIYO) - {"with", "without"}), "without?of=as_designed&seed=0.0&epoch=6"]
"""Those two wrap another policy and say nothing by themselves."""
SLOW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lines(events: list[DomainEvent]) -> list[str]:
    return [event.model_dump_json() for event in events]


@pytest.mark.parametrize("name", BUILT_IN)
@SLOW
@given(run_key=st.integers(0, 2**40), places=st.integers(1, 3), noise=st.sampled_from([0.0, 0.05, 0.4]))
def test_every_invariant_holds_under_every_built_in_policy_and_the_run_replays(
    name: str, run_key: int, places: int, noise: float
) -> None:
    policy, _ = composition.tamiyo(name)
    header = small_header(profile=policy.profile, epochs=30, run_key=run_key, max_active_seeds=places)
    dynamics = planted({"unit_rms/CHUNK": -1.0}, noise=noise, luck=(0.0, 0.5, 1.0, 2.0))
    events = simulated(dynamics, header, policy)
    assert check(events) == []
    assert same_state(events) is None
    assert lines(simulated(dynamics, header, policy)) == lines(events)
    divergence = replay(events, RecordedTrainer(events), lambda _: (policy, NoInvention()))
    assert divergence is None, divergence.line
    divergence = replay(events, SimulatedTrainer(dynamics), lambda _: (policy, NoInvention()))
    assert divergence is None, divergence.line


@SLOW
@given(run_key=st.integers(0, 2**40), pick=st.integers(0, 99))
def test_a_simulated_run_resumed_at_any_checkpoint_goes_on_to_the_same_bits(run_key: int, pick: int) -> None:
    dynamics, policy, store = planted(noise=0.4, luck=(0.0, 1.0)), RandomGrowth(probability=0.3), Kept()
    header = small_header(epochs=30, run_key=run_key, max_active_seeds=3)
    views: list[EpochView] = []
    events = simulated(dynamics, header, policy, store=store, views=views)
    cuts = [view.state for view in views if view.state.checkpoints[-1].epoch == view.state.epoch < 30]
    state = cuts[pick % len(cuts)]
    files = {saved.checkpoint: store.get(saved.checkpoint) for saved in state.checkpoints}
    rest = Tape()
    resumed = Session(SimulatedTrainer(dynamics, store), policy, NoInvention(), rest)
    past = rebuild([event for event in events if event.epoch <= state.epoch])
    resumed.resume(past, state.checkpoints[-1].checkpoint, controllers_in(files, dynamics.digest))
    while resumed.state.ending is None:
        resumed.step()
    assert lines(rest.events) == lines([event for event in events if event.epoch > state.epoch])


class Kept:
    """A store that forgets nothing, so that a run can be cut anywhere after it ended."""

    def __init__(self) -> None:
        self._store = MemoryStore()

    def put(self, content: bytes) -> str:
        return self._store.put(content)

    def get(self, digest: str) -> bytes:
        return self._store.get(digest)

    def release(self, digest: str) -> None:
        """Nothing is dropped."""


def recorded(journal: Journal, dynamics: Dynamics, run_id: str, name: str) -> RunHeader:
    """A simulated run of the scenario spirals, in the journal with its dynamics and checkpoints."""
    scenario = specification.load("spirals", {"training.epochs": 60})
    header, tamiyo, karn = simulation.simulated_header(scenario, 3, name, None, dynamics)
    store = Deferred(journal.blobs(run_id))
    simulation.keep(journal, run_id, dynamics)
    session = Session(SimulatedTrainer(dynamics, store), tamiyo, karn, JournalSink(journal, run_id))
    assert session.run(header, composition.first_library()).ending is RunEnding.COMPLETED
    store.settle()
    return header


@pytest.mark.parametrize("name", ["as_designed", "random_growth", "always_grow"])
def test_a_simulated_run_in_a_journal_verifies_to_rung_4_with_its_own_dynamics(tmp_path: Path, name: str) -> None:
    with Journal.open(f"sqlite:///{tmp_path / 'j.db'}") as journal:
        header = recorded(journal, planted(noise=0.1), "run", name)
        dynamics = planted(noise=0.1)
        assert header.trainer == f"simulated:{dynamics.digest}"
        assert journal.blobs("run").get(dynamics.digest) == dynamics.canonical
        reached = verify(journal, "run", composition.policies)
        assert (reached.rung, reached.divergence) == (3, None)

        def again(events: tuple[DomainEvent, ...]) -> int:
            divergence = replay(events, SimulatedTrainer(dynamics), composition.policies)
            assert divergence is None, divergence.line
            return 0

        assert verify(journal, "run", composition.policies, again).rung == 4  # type: ignore[arg-type]
        for saved in rebuild(journal.events("run")).checkpoints:
            assert journal.blobs("run").get(saved.checkpoint)


def test_dynamics_of_another_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="of task spirals but scenario digits has task digits"):
        simulation.simulated_header(specification.load("digits"), 0, None, None, planted())
    with pytest.raises(BadInput, match="make one with `regrow fit`"):
        simulation.dynamics_in(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(BadInput, match="holds no dynamics"):
        simulation.dynamics_in(tmp_path / "bad.json")


PLANTED = {
    "residual_mlp/BOTH": 3.0,
    "wide_residual_mlp/BOTH": 2.2,
    "bottleneck_adapter/BOTH": 1.5,
    "se_gate/BOTH": 1.0,
    "glu/BOTH": 0.6,
    "low_rank_residual/BOTH": 0.3,
    "no_op/CHUNK": 0.0,
    "unit_rms/CHUNK": -0.4,
}


@cache
def found_again() -> tuple[Dynamics, Dynamics]:
    """Planted dynamics, and those fitted to 36 runs simulated from them under random growth."""
    truth = planted(PLANTED, others=0.8, noise=0.05, keys=KEYS)
    headers = [small_header(epochs=60, run_key=key, layers=1, max_active_seeds=1) for key in range(len(KEYS))]
    policies = [RandomGrowth(probability=share) for share in (0.06, 0.1, 0.15, 0.2, 0.3, 0.5)]
    runs = [simulated(truth, header, policy) for header in headers for policy in policies]
    return truth, fit(runs, policies=[f"random {policy.probability}" for _ in headers for policy in policies])


def test_a_fit_finds_the_planted_kappas_again() -> None:
    truth, fitted = found_again()
    known, found = truth.members[0].kappa_by_kind, fitted.members[0].kappa_by_kind
    grown = sorted(kind for kind in PLANTED if kind in found)
    assert len(grown) >= 7
    assert rank_correlation([known[kind] for kind in grown], [found[kind] for kind in grown]) >= 0.85
    assert abs(found["no_op/CHUNK"]) < 0.15
    errors = sorted(abs(found[kind] - known[kind]) for kind in grown)
    assert errors[len(errors) // 2] < 0.4
    assert fitted.fit_error < 0.03


def test_a_fit_finds_the_planted_host_again() -> None:
    truth, fitted = found_again()
    one, other = truth.members[0], fitted.members[0]
    for key in KEYS:
        effect = next(entry for entry in other.keys if entry.run_key == key.run_key)
        for epochs in (2, 10, 30):
            assert other.host(effect, epochs) == _near(one.host(key, epochs))


def _near(value: float) -> object:
    return pytest.approx(value, abs=0.04)


def test_policies_simulated_by_the_fit_rank_as_under_the_truth() -> None:
    truth, fitted = found_again()
    names = ("never_grow", "as_designed", "always_grow", "random_growth", "as_implemented")

    def runs(dynamics: Dynamics, name: str, member: int | None) -> list[list[DomainEvent]]:
        policy, _ = composition.tamiyo(name)
        told = []
        for key in range(len(KEYS)):
            header = small_header(profile=policy.profile, epochs=60, run_key=key, layers=1, max_active_seeds=1)
            sink = Tape()
            Session(SimulatedTrainer(dynamics, member=member), policy, NoInvention(), sink).run(
                header, composition.first_library()
            )
            told.append([event for event in sink.events if not isinstance(event, EpochSealed)])
        return told

    known = [ask(truth.model_copy(update={"features": fitted.features}), name, runs).accuracy for name in names]
    asked = [ask(fitted, name, runs) for name in names]
    assert rank_correlation(known, [entry.accuracy for entry in asked]) >= 0.8
    assert all(abs(entry.accuracy - value) < 0.06 for entry, value in zip(asked, known, strict=True))
    assert all(0 <= entry.disagreement < 0.1 for entry in asked)


def test_held_out_policies_are_ranked_as_recorded() -> None:
    truth = planted(PLANTED, others=0.8, noise=0.05, keys=KEYS)
    policies = {
        "never": composition.tamiyo("never_grow")[0],
        "always": composition.tamiyo("always_grow")[0],
        "seldom": RandomGrowth(probability=0.05),
        "often": RandomGrowth(probability=0.3),
    }

    def runs(dynamics: Dynamics, name: str, member: int | None) -> list[list[DomainEvent]]:
        assert member is None
        headers = [small_header(epochs=40, run_key=key, layers=1, max_active_seeds=1) for key in range(len(KEYS))]
        return [simulated(dynamics, header, policies[name]) for header in headers]

    found = calibrate({name: runs(truth, name, None) for name in policies}, runs)
    assert found.spearman >= 0.8
    assert found.error < 0.08
    assert found.regret < 0.05


def test_a_policy_that_was_fitted_on_is_near_and_one_that_grows_all_else_is_far() -> None:
    truth, header = planted(PLANTED, noise=0.05), small_header(epochs=40, layers=1, max_active_seeds=1)
    quiet, eager = (composition.tamiyo(name)[0] for name in ("never_grow", "always_grow"))
    keyed = [header.model_copy(update={"run_key": key}) for key in range(6)]
    fitted = fit([simulated(truth, entry, quiet) for entry in keyed], policies=["never_grow"] * 6)

    def told(policy: TamiyoPolicy) -> list[History]:
        return [found for entry in keyed if (found := history(simulated(fitted, entry, policy))) is not None]

    assert distance(fitted, told(quiet)) == 0.0
    assert distance(fitted, told(eager)) > DISTANCE_MAX
