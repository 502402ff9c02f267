"""The four vocabularies, checked over every stage and every way an adaptation ends."""

from __future__ import annotations

from enum import Enum

import pytest

from domain.identifiers import SeedId
from domain.lifecycle import Outcome, Stage
from domain.seed import Seed
from domain.vocabularies import (
    WORDLESS,
    AssessedState,
    HighLevelState,
    KasminaState,
    SuccessorState,
    stage_named,
    to_assessed,
    to_high_level,
    to_kasmina,
    to_successor,
)

NAME = SeedId(layer=0, index=1)

# Domain reference §B5, row by row: Kasmina, second high-level design, assessed five, successor.
TABLE = {
    "DORMANT": ("DORMANT", "DORMANT", "DORMANT", "DORMANT"),
    "GERMINATING": ("GERMINATED", "GERMINATED", "LOADING", "GERMINATED"),
    "LOADING": ("GERMINATED", "LOADING", "LOADING", "GERMINATED"),
    "TRAINING": ("TRAINING", "TRAINING", "ACTIVE", "TRAINING"),
    "GRAFTING": ("GRAFTING", "GRAFTING", "ACTIVE", "BLENDING"),
    "STABILIZATION": ("STABILIZATION", "STABILIZATION", "ACTIVE", "HOLDING"),
    "EVALUATING": ("EVALUATING", "EVALUATING", "ACTIVE", "HOLDING"),
    "FINE_TUNING": ("FINE_TUNING", "FINE_TUNING", "ACTIVE", "HOLDING"),
    "ACTIVE": ("FINE_TUNING", "FINE_TUNING", "ACTIVE", "HOLDING"),
    "ERROR_RECOVERY": ("CULLED", "CULLED", "ERROR_RECOVERY", "PRUNED"),
    "FOSSILIZED": ("FOSSILIZED", "FOSSILIZED", "FOSSILIZED", "FOSSILIZED"),
}


def culled(at: int, embargo: int = 5) -> Seed:
    return Seed(seed_id=NAME, since=at, attempts=1, embargoed_until=at + embargo)


@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
def test_every_stage_is_named_as_the_reference_table_says(stage: Stage) -> None:
    seed = Seed(seed_id=NAME, stage=stage, since=3)
    names = (
        to_kasmina(seed, 9).name,
        to_high_level(seed, 9).name,
        to_assessed(seed).name,
        to_successor(seed, 9).name,
    )
    assert names == TABLE[stage.value]


@pytest.mark.parametrize("vocabulary", WORDLESS, ids=lambda vocabulary: vocabulary.__name__)
def test_a_stage_is_wordless_exactly_where_its_own_name_is_missing(vocabulary: type[Enum]) -> None:
    own = {stage: stage.value for stage in Stage}
    if vocabulary is not AssessedState:
        own[Stage.GERMINATING] = "GERMINATED"
    if vocabulary is SuccessorState:
        own[Stage.GRAFTING] = "BLENDING"
    missing = tuple(stage for stage in Stage if own[stage] not in vocabulary.__members__)
    assert WORDLESS[vocabulary] == missing


def test_the_vocabularies_have_the_sizes_of_their_sources() -> None:
    sizes = {kind.__name__: len(kind) for kind in (KasminaState, HighLevelState, AssessedState, SuccessorState)}
    assert sizes == {"KasminaState": 11, "HighLevelState": 12, "AssessedState": 5, "SuccessorState": 9}
    assert 5 not in {state.value for state in SuccessorState}, "5 was retired and is rejected on read"
    with pytest.raises(ValueError, match="5 is not a valid SuccessorState"):
        SuccessorState(5)


def test_a_culled_seed_stays_culled_in_the_designs_words_until_its_embargo_ends() -> None:
    seed = culled(10)
    story = [to_kasmina(seed, epoch, Outcome.CULLED).name for epoch in range(10, 17)]
    assert story == ["CULLED"] * 5 + ["DORMANT"] * 2
    assert [to_high_level(seed, epoch, Outcome.CULLED).name for epoch in range(10, 17)] == story


def test_the_successor_takes_a_culled_seed_through_its_recycle_pipeline() -> None:
    story = [to_successor(culled(10), epoch).name for epoch in range(10, 17)]
    assert story == ["PRUNED", "EMBARGOED", "EMBARGOED", "EMBARGOED", "RESETTING", "DORMANT", "DORMANT"]


@pytest.mark.parametrize("embargo", range(7))
def test_dormant_in_the_successor_means_that_the_seed_may_germinate(embargo: int) -> None:
    seed = culled(10, embargo)
    for epoch in range(10, 20):
        assert (to_successor(seed, epoch) is SuccessorState.DORMANT) == seed.may_germinate(epoch)


def test_a_locked_seed_is_rolled_back_for_ever() -> None:
    seed = Seed(seed_id=NAME, since=10, attempts=1, locked=True)
    for epoch in (10, 11, 1000):
        assert to_kasmina(seed, epoch, Outcome.ROLLED_BACK) is KasminaState.ROLLED_BACK
        assert to_high_level(seed, epoch, Outcome.ROLLED_BACK) is HighLevelState.ROLLED_BACK
    assert [to_successor(seed, epoch).name for epoch in (10, 11, 1000)] == ["PRUNED", "EMBARGOED", "EMBARGOED"]


def test_a_rolled_back_seed_that_is_only_embargoed_is_told_from_a_culled_one_by_its_outcome() -> None:
    seed = culled(10)
    assert to_kasmina(seed, 12, Outcome.ROLLED_BACK) is KasminaState.ROLLED_BACK
    assert to_kasmina(seed, 12, Outcome.CULLED) is KasminaState.CULLED
    assert to_kasmina(seed, 15, Outcome.ROLLED_BACK) is KasminaState.DORMANT


def test_a_cancelled_seed_is_cancelled_for_one_boundary_and_dormant_after() -> None:
    seed = Seed(seed_id=NAME, since=10, attempts=1)
    story = [to_kasmina(seed, epoch, Outcome.CANCELLED).name for epoch in (10, 11)]
    assert story == ["CANCELLED", "DORMANT"]
    assert to_assessed(seed) is AssessedState.DORMANT
    assert to_successor(seed, 10) is SuccessorState.DORMANT


@pytest.mark.parametrize("outcome", [None, *Outcome], ids=str)
@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
@pytest.mark.parametrize("locked", [False, True])
def test_every_projection_answers_for_every_seed(stage: Stage, outcome: Outcome | None, locked: bool) -> None:
    for embargoed_until in (0, 4, 5, 6, 9):
        seed = Seed(seed_id=NAME, stage=stage, since=4, locked=locked, embargoed_until=embargoed_until)
        for epoch in range(4, 11):
            in_design = to_kasmina(seed, epoch, outcome)
            assert isinstance(in_design, KasminaState)
            assert isinstance(to_successor(seed, epoch), SuccessorState)
            assert isinstance(to_assessed(seed), AssessedState)
            if stage is not Stage.LOADING:
                assert to_high_level(seed, epoch, outcome).name == in_design.name


def test_the_designs_word_for_germinating_is_read_and_never_written() -> None:
    assert stage_named("GERMINATED") is Stage.GERMINATING
    assert stage_named("BLENDING") is Stage.GRAFTING
    assert all(stage_named(stage.value) is stage for stage in Stage)
    assert "GERMINATED" not in {stage.value for stage in Stage}


@pytest.mark.parametrize("word", ["", "germinating", "CULLED", "HOLDING"])
def test_an_unknown_stage_is_refused_in_one_line_that_lists_the_known_ones(word: str) -> None:
    with pytest.raises(ValueError, match="is no stage; use one of DORMANT, GERMINATING") as refused:
        stage_named(word)
    assert "\n" not in str(refused.value)
