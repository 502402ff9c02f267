"""The two profiles, edge by edge, against the tables they come from."""

from __future__ import annotations

import pytest

from domain.lifecycle import ADAPTING, FULL, ON_TRIAL, PROFILES, SIMPLIFIED, Gate, LifecycleProfile, Outcome, Stage

IN_HOST = ["LOADING", "TRAINING", "GRAFTING", "STABILIZATION", "EVALUATING", "FINE_TUNING", "ACTIVE"]

# Design §6, read off by hand.
FULL_TABLE = {
    ("DORMANT", "GERMINATING", "GERMINATION", None),
    ("GERMINATING", "LOADING", "PROMOTION", None),
    ("LOADING", "TRAINING", "BLUEPRINT_LOADED", None),
    ("LOADING", "GRAFTING", "FIXED_FUNCTION_LOADED", None),
    ("TRAINING", "GRAFTING", "RECONSTRUCTION", None),
    ("GRAFTING", "STABILIZATION", "ALPHA_REACHED", None),
    ("STABILIZATION", "EVALUATING", "SETTLED", None),
    ("EVALUATING", "FINE_TUNING", "POSITIVE_EFFECT", None),
    ("EVALUATING", "ACTIVE", "FIXED_FUNCTION_EFFECT", None),
    ("FINE_TUNING", "ACTIVE", "TOTAL_IMPROVEMENT", None),
    ("ACTIVE", "FOSSILIZED", "HELD", "FOSSILIZED"),
    ("ERROR_RECOVERY", "DORMANT", "RECOVERY", "CULLED"),
    *((stage, "ERROR_RECOVERY", "FAULTS", None) for stage in IN_HOST),
    *((stage, "DORMANT", "CULL", "CULLED") for stage in ("TRAINING", "EVALUATING", "FINE_TUNING", "ACTIVE")),
    *((stage, "DORMANT", "CANCEL", "CANCELLED") for stage in ("GERMINATING", "LOADING", "TRAINING")),
    *((stage, "DORMANT", "ROLLBACK", "ROLLED_BACK") for stage in ("GERMINATING", *IN_HOST, "ERROR_RECOVERY")),
}

# The assessed code's transitions, domain reference §B3.
ASSESSED_TRANSITIONS = {
    ("DORMANT", "LOADING"),
    ("LOADING", "ACTIVE"),
    ("LOADING", "ERROR_RECOVERY"),
    ("ACTIVE", "FOSSILIZED"),
    ("ACTIVE", "ERROR_RECOVERY"),
    ("ERROR_RECOVERY", "DORMANT"),
    ("FOSSILIZED", "DORMANT"),
}


def table(profile: LifecycleProfile) -> set[tuple[str, str, str, str | None]]:
    return {
        (edge.source.value, edge.target.value, edge.gate.value, edge.outcome.value if edge.outcome else None)
        for edge in profile.edges
    }


def test_the_full_profile_has_the_edges_of_the_design_and_no_other() -> None:
    assert table(FULL) == FULL_TABLE
    assert len(FULL.edges) == len(FULL_TABLE)
    assert FULL.stages == tuple(Stage) and len(FULL.stages) == 11


def test_the_simplified_profile_has_the_assessed_stages_and_transitions() -> None:
    assert {(source, target) for source, target, _, _ in table(SIMPLIFIED)} == ASSESSED_TRANSITIONS
    assert len(SIMPLIFIED.stages) == 5


def test_only_the_two_shipped_profiles_are_known_by_their_names() -> None:
    assert PROFILES == {"full": FULL, "simplified": SIMPLIFIED}


def test_every_conclusion_leads_to_dormant_but_fossilizing() -> None:
    for profile in PROFILES.values():
        for edge in profile.edges:
            if edge.outcome is not None:
                fossil = edge.outcome is Outcome.FOSSILIZED
                assert edge.target is (Stage.FOSSILIZED if fossil else Stage.DORMANT)


def test_a_fossil_is_terminal_in_the_full_profile_and_is_reset_in_the_simplified_one() -> None:
    assert FULL.edges_from(Stage.FOSSILIZED) == ()
    assert [edge.gate for edge in SIMPLIFIED.edges_from(Stage.FOSSILIZED)] == [Gate.RESET]


@pytest.mark.parametrize(("profile", "first"), [(FULL, Stage.GERMINATING), (SIMPLIFIED, Stage.LOADING)])
def test_a_germinated_seed_goes_to_the_profiles_first_stage(profile: LifecycleProfile, first: Stage) -> None:
    edge = profile.edge(Stage.DORMANT, Gate.GERMINATION)
    assert edge is not None and edge.target is first


def test_an_edge_is_found_by_its_stage_and_gate() -> None:
    edge = FULL.edge(Stage.TRAINING, Gate.CULL)
    assert edge is not None and edge.outcome is Outcome.CULLED
    assert FULL.edge(Stage.GRAFTING, Gate.CULL) is None


def test_only_a_cancelled_adaptation_files_no_report() -> None:
    assert [outcome for outcome in Outcome if not outcome.is_reported] == [Outcome.CANCELLED]


def test_a_blueprint_on_trial_is_in_the_host() -> None:
    assert set(ON_TRIAL) < set(ADAPTING)
    assert [stage.value for stage in ADAPTING] == IN_HOST
