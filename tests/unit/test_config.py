from __future__ import annotations

import pytest
from pydantic import ValidationError

from domain.blueprint import ConfidenceLevel
from domain.commands import GraftingStrategy
from domain.health import HealthWeights
from domain.lifecycle import Stage
from domain.tamiyo.config import SELECTABLE, BlueprintSelectionStrategy, RiskLevel, TamiyoConfig, hybrid_mix
from domain.tamiyo.profiles import PROFILES
from scenarios import specification


def test_the_defaults_are_the_designs_and_valid() -> None:
    config = TamiyoConfig()

    assert config.validate() == []
    assert (config.acc_threshold, config.plateau_patience, config.min_improvement_delta) == (0.95, 5, 0.001)
    assert (config.max_active_seeds, config.max_consecutive_failures) == (1, 3)
    assert (config.memory_safety_margin, config.latency_safety_margin) == (0.1, 0.2)
    assert config.blueprint_selection_strategy is BlueprintSelectionStrategy.PERFORMANCE
    assert config.grafting_strategy_selection is GraftingStrategy.GRAD_NORM_GATED
    assert not config.neural_controller_enabled
    assert config.emergency_rollback_threshold == 0.05


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"acc_threshold": 1.01}, "acc_threshold"),
        ({"acc_threshold": float("nan")}, "acc_threshold"),
        ({"plateau_patience": 0}, "plateau_patience"),
        ({"min_improvement_delta": -1e-9}, "min_improvement_delta"),
        ({"health_weights": HealthWeights(variance_weight=0.7)}, "health_weights"),
        ({"max_active_seeds": 0}, "max_active_seeds"),
        ({"max_active_seeds": 2}, "allow_concurrent_adaptations"),
        ({"respected_states": (Stage.DORMANT,)}, "respected_states"),
        ({"max_consecutive_failures": 0}, "max_consecutive_failures"),
        ({"emergency_rollback_threshold": 0.0}, "emergency_rollback_threshold"),
        ({"emergency_rollback_threshold": 1.1}, "emergency_rollback_threshold"),
        ({"memory_safety_margin": 1.0}, "memory_safety_margin"),
        ({"latency_safety_margin": -0.1}, "latency_safety_margin"),
        ({"warm_up_epochs": -1}, "warm_up_epochs"),
        ({"cool_down_epochs": -1}, "cool_down_epochs"),
        ({"reserve_epochs": -1}, "reserve_epochs"),
        ({"neural_controller_enabled": True}, "neural_controller_enabled"),
        ({"neural_controller_confidence_threshold": 1.5}, "neural_controller_confidence_threshold"),
        ({"hybrid_weights": ((BlueprintSelectionStrategy.NONE, 1.0),)}, "hybrid_weights"),
        ({"hybrid_weights": ((BlueprintSelectionStrategy.SIZE, 0.0),)}, "hybrid_weights"),
        ({"shortlist_size": 0}, "shortlist_size"),
        ({"shortlist_sample": -1}, "shortlist_sample"),
    ],
)
def test_each_broken_rule_is_one_violation_that_names_its_field(changes: dict[str, object], field: str) -> None:
    violations = TamiyoConfig(**changes).validate()

    assert len(violations) == 1
    assert field in violations[0]


def test_validate_lists_every_violation_at_once() -> None:
    config = TamiyoConfig(acc_threshold=2.0, plateau_patience=0, max_active_seeds=0)

    assert len(config.validate()) == 3


def test_checked_refuses_in_one_line_what_validate_lists() -> None:
    with pytest.raises(ValueError, match=r"breaks 2 rules: acc_threshold .*; plateau_patience") as refusal:
        TamiyoConfig(acc_threshold=2.0, plateau_patience=0).checked()

    assert "\n" not in str(refusal.value)


def test_two_seeds_are_allowed_once_concurrency_is() -> None:
    assert TamiyoConfig(max_active_seeds=2, allow_concurrent_adaptations=True).validate() == []


def test_the_profiles_keyword_names_are_accepted_as_aliases() -> None:
    config = TamiyoConfig.model_validate_json('{"blueprint_strategy": "SIZE", "grafting_strategy": "FIXED_RAMP"}')

    assert config.blueprint_selection_strategy is BlueprintSelectionStrategy.SIZE
    assert config.grafting_strategy_selection is GraftingStrategy.FIXED_RAMP
    assert TamiyoConfig.model_validate_json(config.model_dump_json()) == config
    assert "blueprint_selection_strategy" in config.model_dump()


def test_a_field_and_its_alias_together_are_refused() -> None:
    with pytest.raises(ValidationError):
        TamiyoConfig.model_validate_json(
            '{"grafting_strategy_selection": "FIXED_RAMP", "grafting_strategy": "FIXED_RAMP"}'
        )


def test_germinated_is_an_alias_of_germinating() -> None:
    config = TamiyoConfig.model_validate_json('{"respected_states": ["GERMINATED", "TRAINING"]}')

    assert config.respected_states == (Stage.GERMINATING, Stage.TRAINING)


def test_an_unknown_field_or_state_is_refused_on_input() -> None:
    with pytest.raises(ValidationError):
        TamiyoConfig.model_validate_json('{"patience": 3}')
    with pytest.raises(ValidationError):
        TamiyoConfig.model_validate_json('{"respected_states": ["GROWING"]}')


def test_all_thirteen_strategies_can_be_chosen() -> None:
    assert len(SELECTABLE) == 13
    for strategy in SELECTABLE:
        assert TamiyoConfig(blueprint_selection_strategy=strategy).validate() == []


@pytest.mark.parametrize(
    "written", ["ACCURACY:0.6, SIZE:0.4", {"ACCURACY": 0.6, "SIZE": 0.4}, [["ACCURACY", 0.6], ["SIZE", 0.4]]]
)
def test_a_mix_may_be_written_as_a_text_a_table_or_a_list(written: object) -> None:
    config = TamiyoConfig.model_validate({"hybrid_weights": written}, strict=False)

    assert config.hybrid_weights == hybrid_mix("ACCURACY:0.6,SIZE:0.4")
    assert TamiyoConfig.model_validate_json(config.model_dump_json(), strict=False) == config


def test_what_is_no_mix_is_refused() -> None:
    with pytest.raises(ValueError, match="not of the form STRATEGY:WEIGHT"):
        hybrid_mix("ACCURACY=1")


def test_a_configuration_that_says_nothing_new_reads_as_it_always_did() -> None:
    new = {"hybrid_weights", "shortlist_size", "shortlist_sample", "when_all_penalised", "seed_selection", "bandit"}

    assert new.isdisjoint(TamiyoConfig().model_dump(mode="json"))


@pytest.mark.parametrize("environment", list(PROFILES))
def test_an_environment_selects_both_configurations_of_a_scenario(environment: str) -> None:
    scenario = specification.load("xor4", {"environment": environment})
    ours = {"acc_threshold", "plateau_patience", "min_improvement_delta"}  # what the scenario itself says

    assert scenario.safety == PROFILES[environment].safety
    assert scenario.tamiyo_config.model_dump(exclude=ours) == PROFILES[environment].tamiyo.model_dump(exclude=ours)


def test_what_a_scenario_says_goes_over_its_environment() -> None:
    changed = {"environment": "edge", "safety.max_drift_threshold": 0.2, "tamiyo_config.plateau_patience": 4}

    scenario = specification.load("xor4", changed)

    assert (scenario.safety.max_drift_threshold, scenario.tamiyo_config.plateau_patience) == (0.2, 4)
    assert scenario.tamiyo_config.latency_safety_margin == 0.1


def test_risk_tolerance_maps_to_confidence_levels() -> None:
    high, moderate, speculative = ConfidenceLevel.HIGH, ConfidenceLevel.MODERATE, ConfidenceLevel.SPECULATIVE

    assert RiskLevel.HIGH.allowed_levels == (high, moderate, speculative)
    assert RiskLevel.MEDIUM.allowed_levels == (high, moderate)
    assert RiskLevel.LOW.allowed_levels == (high,)


def test_every_environment_is_valid_and_selects_both_configurations() -> None:
    assert list(PROFILES) == ["development", "edge", "medical"]
    for profile in PROFILES.values():
        assert profile.tamiyo.validate() == []
        assert profile.safety.allowed_conf_levels == profile.tamiyo.risk_tolerance.allowed_levels


def test_medical_is_the_strictest_environment() -> None:
    medical = PROFILES["medical"]

    assert (medical.tamiyo.acc_threshold, medical.tamiyo.plateau_patience) == (0.98, 10)
    assert medical.tamiyo.emergency_rollback_threshold == 0.02
    assert medical.safety.encryption_required
    assert medical.safety.privacy_mode
    assert medical.safety.fail_safe_mode
    assert (medical.safety.min_rollback_success_rate, medical.safety.max_consecutive_failures) == (0.99, 1)
    assert medical.safety.max_drift_threshold < PROFILES["edge"].safety.max_drift_threshold < 0.15
