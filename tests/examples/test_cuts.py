"""The survey of ``make cuts`` in small: three runs, each cut once."""

from __future__ import annotations

from pathlib import Path

from scenarios.experiments.cuts import CUTS, EPOCHS, PLANS, Plan, survey
from scenarios.tasks.catalogue import TASKS

DROPOUT = {"host.dropout": 0.1, "training.batches_per_epoch": 5}
SMALL = (
    Plan("xor4", "as_designed", 7, {"training.epochs": 20, **DROPOUT}),
    Plan("spirals", "composed?gates=simplified", 13, {"training.epochs": 20, "training.batches_per_epoch": 5}),
    Plan("clusters", "random_growth", 16, {"training.epochs": 20}),
)


def test_a_process_that_killed_itself_is_resumed_by_another_to_the_same_bytes(tmp_path: Path) -> None:
    for verdict in survey(SMALL, 1, tmp_path):
        assert len(verdict.cuts) == 1 and 0 < verdict.cuts[0] < 20
        assert verdict.resumed == verdict.forked == ((),), verdict.line
        assert "resumed 1/1, forks 1/1" in verdict.line


def test_the_plans_cover_what_they_are_to_cover() -> None:
    assert len(PLANS) * CUTS == 60
    for lifecycle in ("as_designed", "composed?gates=simplified"):
        assert {plan.scenario for plan in PLANS if plan.tamiyo == lifecycle} == set(TASKS)
    assert sum("host.dropout" in plan.settings for plan in PLANS) == 10
    assert sum("training.batches_per_epoch" in plan.settings for plan in PLANS) >= 10
    assert len({plan.key for plan in PLANS}) == len(PLANS)
    for plan in PLANS:
        cuts = plan.cuts(CUTS)
        assert cuts == plan.cuts(CUTS) == sorted(set(cuts))
        assert all(0 < cut < EPOCHS for cut in cuts)
