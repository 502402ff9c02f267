from __future__ import annotations

from dataclasses import replace

import pytest
from support.observations import at_epoch, metrics, planted

from domain.commands import GraftingStrategy, Reads
from domain.health import SeedProgress
from domain.identifiers import BlueprintId, SeedId
from domain.lifecycle import Stage
from domain.run import RunState
from domain.seed import Adaptation, Seed
from domain.tamiyo.performance import Performance, Sample, performances_after, samples_of

NAME = SeedId(layer=0, index=1)


def carrying(stage: Stage, *history: float) -> RunState:
    """A run after epochs of these accuracies, with a blueprint in one seed."""
    adaptation = Adaptation(
        attempt=1,
        blueprint_id=BlueprintId("0" * 64),
        reads=Reads.BOTH,
        grafting=GraftingStrategy.FIXED_RAMP,
        germinated_at=1,
        pre_accuracy=0.5,
        pre_loss=0.5,
    )
    seed = Seed(seed_id=NAME, stage=stage, attempts=1, adaptation=adaptation)
    progress = {NAME: SeedProgress(index=1, latency_ms=0.5, memory_mb=2.0)}
    run = at_epoch(planted(), len(history), *(metrics(each) for each in history))
    return replace(run, seeds={NAME: seed}, progress=progress)


def sample(accuracy: float, loss: float = 0.0) -> Sample:
    return Sample(accuracy_delta=accuracy, loss_delta=loss)


def test_an_epoch_of_a_blended_blueprint_is_a_sample_of_its_seed() -> None:
    ((seed, found),) = samples_of(carrying(Stage.GRAFTING, 0.5, 0.6))

    assert seed.seed_id == NAME
    assert found.accuracy_delta == pytest.approx(0.1)
    assert found.loss_delta == pytest.approx(-0.1)
    assert (found.latency_ms, found.memory_mb) == (0.5, 2.0)


@pytest.mark.parametrize(
    "run",
    [
        carrying(Stage.TRAINING, 0.5, 0.6),
        carrying(Stage.DORMANT, 0.5, 0.6),
        carrying(Stage.GRAFTING, 0.5),
        carrying(Stage.GRAFTING, float("nan"), 0.6),
    ],
)
def test_what_is_not_blended_and_what_is_no_number_is_no_sample(run: RunState) -> None:
    assert samples_of(run) == ()


@pytest.mark.parametrize(
    ("accuracy", "loss", "improved"), [(0.01, 1.0, True), (-0.01, -0.1, True), (0.0, 0.0, False), (-0.1, 0.0, False)]
)
def test_a_sample_is_an_improvement_if_accuracy_rose_or_loss_fell(accuracy: float, loss: float, improved: bool) -> None:
    after = Performance().after(sample(accuracy, loss))

    assert (after.improvements, after.setbacks) == ((1, 0) if improved else (0, 1))
    assert after.success_rate == float(improved)


def test_a_performance_forgets_samples_but_not_how_many_there_were() -> None:
    performance = Performance()
    for number in range(60):
        performance = performance.after(sample(number / 100))

    assert (len(performance.samples), performance.samples[0].accuracy_delta) == (50, 0.1)
    assert performance.improvements + performance.setbacks == 60


def test_samples_together_count_as_one_by_one() -> None:
    samples = [sample(number % 3 - 1) for number in range(60)]
    one_by_one = Performance()
    for each in samples:
        one_by_one = one_by_one.after(each)

    assert Performance().after(*samples[:7]).after(*samples[7:]) == one_by_one
    assert one_by_one.after() == one_by_one


def test_means_weigh_accuracy_against_loss_and_the_score_ages() -> None:
    performance = Performance().after(sample(0.2, 0.1)).after(sample(0.0, 0.0))

    assert performance.mean == pytest.approx(0.7 * 0.1 - 0.3 * 0.05)
    weight = 0.95 / 1.95
    assert performance.score == pytest.approx(0.7 * 0.2 * weight - 0.3 * 0.1 * weight)
    assert performance.variance == pytest.approx(0.01)


def test_nothing_tried_is_uncertain_and_neither_good_nor_bad() -> None:
    nothing = Performance()

    assert (nothing.mean, nothing.score, nothing.variance, nothing.success_rate) == (0.0, 0.0, 1.0, 0.5)


def test_performances_can_be_kept_of_anything() -> None:
    found = performances_after(
        {"glu": Performance()}, [("glu", sample(0.1)), ("mlp", sample(-0.1)), ("glu", sample(0.2))]
    )

    assert {name: len(each.samples) for name, each in found.items()} == {"glu": 2, "mlp": 1}
