"""The crucible's verdict on one blueprint, and what it was judged on."""

from __future__ import annotations

from enum import Enum
from typing import Final, final

from pydantic import Field

from domain.blueprint import WEP, ConfidenceLevel
from domain.commands import GraftingStrategy
from domain.values import Value

GAIN: Final = "dynamic.gain"
"""Key of the gain in a weighted evaluation profile."""


@final
class CrucibleStage(Enum):
    """The gauntlet, in its order; the first failure ends it. Source: Urabrask v0.1a."""

    STATIC = "static"
    DYNAMIC = "dynamic"
    ROBUSTNESS = "robustness"
    RISK = "risk"


@final
class DeploymentPath(Enum):
    """What has to happen before a blueprint of some risk is deployed. Source: Urabrask v0.1a."""

    AUTOMATIC = "automatic"
    """Risk under 0.1."""
    HARDWARE_APPROVAL = "hardware_approval"
    """Risk from 0.1 to under 0.4: the hardware's envelope is checked for it first."""
    MANUAL_REVIEW = "manual_review"
    """Risk from 0.4 on: only where speculative blueprints are allowed by name of the configuration."""

    @classmethod
    def of_level(cls, level: ConfidenceLevel) -> DeploymentPath:
        """The path of a confidence level."""
        match level:
            case ConfidenceLevel.HIGH:
                return cls.AUTOMATIC
            case ConfidenceLevel.MODERATE:
                return cls.HARDWARE_APPROVAL
            case ConfidenceLevel.SPECULATIVE:
                return cls.MANUAL_REVIEW


@final
class Examination(Value):
    """What a trainer measured of a candidate: the crucible's dynamic and robustness stages."""

    measures: WEP
    """("dynamic.benchmark_accuracy", 0.91), ("robustness.max_gradient_norm", 3.2), ...; sorted by key."""
    failed_stage: CrucibleStage | None = None
    reason: str = ""
    """Why it failed; empty where it did not."""


@final
class Certificate(Value):
    """The crucible's verdict on one blueprint: the reference's CertificationResult."""

    passed: bool
    failed_stage: str | None = None
    """Stage of the crucible that it failed at; None when it passed."""
    wep: WEP = ()
    risk_score: float = Field(ge=0, le=1)
    conf_level: ConfidenceLevel
    elo_score: int = 1200
    urabrask_interest: float = Field(default=0.0, ge=0, le=1)
    recommended_grafting_strategy: GraftingStrategy = GraftingStrategy.FIXED_RAMP
    reason: str = Field(default="", exclude_if=lambda text: not text)
    """Why it failed; empty where it did not."""
    path: DeploymentPath | None = Field(default=None, exclude_if=lambda path: path is None)
    risk_model: str = Field(default="", exclude_if=lambda digest: not digest)
    """Hash of the model that gave the risk score."""

    @property
    def gain(self) -> float | None:
        """Accuracy gained on the crucible's tasks, [-1, 1]; None where that was not measured or is no number."""
        return dict(self.wep).get(GAIN)


_MEASURED: Final = ("dynamic.", "robustness.")


def examination_of(certificate: Certificate) -> Examination:
    """What a certificate says was measured: what a recorded run is judged on again."""
    stage = None if certificate.failed_stage is None else CrucibleStage(certificate.failed_stage)
    measured = stage in {CrucibleStage.DYNAMIC, CrucibleStage.ROBUSTNESS}
    return Examination(
        measures=tuple(entry for entry in certificate.wep if entry[0].startswith(_MEASURED)),
        failed_stage=stage if measured else None,
        reason=certificate.reason if measured else "",
    )
