from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.observations import at_epoch, header, np_columns, planted, report

from domain.health import HealthWeights, LayerHealthReport, need
from domain.identifiers import SeedId
from domain.lifecycle import Stage
from domain.seed import Seed
from domain.tamiyo.candidates import rank_candidates

WEIGHTS = HealthWeights()
STATE = at_epoch(planted(), 10)


def names(reports: tuple[LayerHealthReport, ...], state: object = STATE, count: int = 5) -> list[str]:
    return [str(found.seed) for found in rank_candidates(reports, state, WEIGHTS, count)]  # type: ignore[arg-type]


def test_the_most_stagnant_chunk_is_in_greatest_need() -> None:
    found, *_ = rank_candidates((report(0, [1.0, 0.25]), report(1, [1.0, 0.5])), STATE, WEIGHTS)

    assert found.seed == SeedId(layer=0, index=1)
    assert found.need == pytest.approx(0.6 * 0.75)  # no dead units, no correlation


def test_dead_units_add_to_the_need() -> None:
    found, *_ = rank_candidates((report(0, [1.0, 1.0], dead=[0.0, 0.5]),), STATE, WEIGHTS)

    assert (found.seed, found.need) == (SeedId(layer=0, index=1), pytest.approx(0.3 * 0.5))


def test_equal_needs_go_by_layer_then_seed_whatever_the_order_of_the_reports() -> None:
    reports = (report(1, [1.0, 1.0]), report(0, [1.0, 1.0]))

    assert names(reports) == ["0.0", "0.1", "1.0", "1.1"]


def test_seeds_that_may_not_germinate_are_no_candidates() -> None:
    def seed(layer: int, index: int, **state: object) -> tuple[SeedId, Seed]:
        name = SeedId(layer=layer, index=index)
        return name, Seed(seed_id=name, **state)  # type: ignore[arg-type]

    seeds = dict(
        [
            seed(0, 0, stage=Stage.TRAINING),
            seed(0, 1, locked=True),
            seed(1, 0, embargoed_until=11),
            seed(1, 1, embargoed_until=10),
        ]
    )

    assert names((report(0, [1.0, 1.0]), report(1, [1.0, 1.0])), replace(STATE, seeds=seeds)) == ["1.1"]


def test_no_free_seed_means_no_candidate() -> None:
    name = SeedId(layer=0, index=0)
    state = replace(STATE, seeds={name: Seed(seed_id=name, stage=Stage.FOSSILIZED)})

    assert names((report(0, [1.0]),), state) == []
    assert names(()) == []


@given(st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=6), min_size=1, max_size=4))
def test_the_columnar_order_is_the_plain_one(variances: list[list[float]]) -> None:
    reports = tuple(report(layer, variance) for layer, variance in enumerate(variances))
    plain = sorted((-need(each, WEIGHTS)[index], each.layer, index) for each in reports for index in range(each.seeds))

    assert names(reports, count=50) == [f"{layer}.{index}" for _, layer, index in plain]


def test_a_hundred_thousand_seeds_are_ranked_from_columns() -> None:
    generator = np.random.Generator(np.random.PCG64(3))
    reports = tuple(LayerHealthReport(layer=layer, **np_columns(2_000, generator)) for layer in range(50))

    found = rank_candidates(reports, at_epoch(planted(header(layers=50)), 10), WEIGHTS)

    needs = np.concatenate([need(each, WEIGHTS).values for each in reports])
    assert [candidate.need for candidate in found] == sorted(needs, reverse=True)[:5]
    best = int(needs.argmax())
    assert found[0].seed == SeedId(layer=best // 2_000, index=best % 2_000)
