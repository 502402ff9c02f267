"""Fitted dynamics: a one-step model of what training a host brings, given what was grown where and when.

Between two boundaries the host learns (its accuracy goes from a start to a level of its own, fast and then slowly) and
each graft learns how much of the remaining headroom it closes:

    accuracy = ceiling - (ceiling - host(host epochs)) * exp(-sum of kappa * alpha * learnt)

A host that is frozen in a trial learns nothing, so that what moves is the graft's; a kappa of 0 is a blueprint without
any effect, a negative one does harm. Source: the saturating surrogate a <- a + (1 - e^-r)(A - a) with capacity
A_inf - (A_inf - A_0) exp(-sum kappa), taken apart into host and grafts so that a cull gives the host back exactly.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_left
from functools import cached_property
from pathlib import Path
from typing import Final, final

from pydantic import Field, ValidationError

from domain.values import Value

FORMAT: Final = 1
NOISE_FLOOR: Final = 1e-4
"""Added to m(1 - m) under the root, so that noise at accuracy 1 has a scale at all."""
BLOCK: Final = 16
"""Epochs of noise and of health that are drawn together."""
UNKNOWN: Final = ""
"""The kind under which samples of all kinds stand, for those that have too few or none of their own."""


class DynamicsUnreadable(ValueError):
    """A file or blob that holds no dynamics of this version."""


@final
class KeyEffect(Value):
    """How the host of one run key (its data, its first weights) differs from the others."""

    run_key: int = Field(ge=0)
    level: float
    """Added to the logit of the host's level."""
    haste: float
    """Natural logarithm of a factor on the host's rates."""


@final
class Kappa(Value):
    """How much headroom one kind of blueprint closes when fully learnt, as -log of what it leaves."""

    kind: str
    """Name and reads: ``residual_mlp/BOTH``."""
    value: float


@final
class Member(Value):
    """One set of parameters out of the ensemble."""

    ceiling: float = Field(gt=0, le=1)
    """Accuracy that growth approaches (A_inf)."""
    start: float = Field(ge=0, le=1)
    """Accuracy of the untrained host."""
    level: float
    """Logit of the share of the ceiling that the host reaches by itself (A_0)."""
    fast_share: float = Field(ge=0, le=1)
    """Share of its way that the host goes at the fast rate."""
    fast_rate: float = Field(ge=0)
    """Per epoch in which the host trains."""
    slow_rate: float = Field(ge=0)
    trial_rate: float = Field(ge=0)
    """Per epoch in which a graft learns on trial."""
    free_rate: float = Field(ge=0)
    """Per epoch in which graft and host learn together, or the host around a fossil."""
    free_factor: float = Field(ge=0)
    """What a graft ends up closing then, in units of its kappa."""
    kappas: tuple[Kappa, ...]
    kappa_per_gain: float = 0.0
    """Kappa of a kind that was never grown, for each unit of the gain that its metadata estimate."""
    layer_factors: tuple[float, ...] = ()
    """Factor on kappa by the layer's number; 1 for layers beyond."""
    keys: tuple[KeyEffect, ...] = ()

    def host(self, effect: KeyEffect, epochs: float, shift: float = 0.0) -> float:
        """Accuracy of the host alone after so many epochs of its own training, its level's logit moved by ``shift``."""
        level = self.ceiling / (1.0 + math.exp(-(self.level + effect.level + shift)))
        haste = math.exp(effect.haste)
        left = self.fast_share * math.exp(-self.fast_rate * haste * epochs) + (1.0 - self.fast_share) * math.exp(
            -self.slow_rate * haste * epochs
        )
        return level - (level - self.start) * left

    def kappa(self, kind: str, layer: int, gain: float) -> float:
        """Of a kind of blueprint in a layer; if it was never grown, what the ``gain`` that it promises is worth here."""
        factor = self.layer_factors[layer] if layer < len(self.layer_factors) else 1.0
        return factor * self.kappa_by_kind.get(kind, self.kappa_per_gain * gain)

    @cached_property
    def kappa_by_kind(self) -> dict[str, float]:
        """The same as a mapping."""
        return {entry.kind: entry.value for entry in self.kappas}


def noise_scale(accuracy: float) -> float:
    """What a standardised residual of an accuracy is multiplied with: binomial in shape."""
    inside = min(max(accuracy, 0.0), 1.0)
    return math.sqrt(inside * (1.0 - inside) + NOISE_FLOOR)


@final
class Curve(Value):
    """A quantity by validation accuracy: linear between knots, flat beyond them."""

    accuracies: tuple[float, ...] = Field(min_length=1)
    """Rising."""
    values: tuple[float, ...] = Field(min_length=1)

    def at(self, accuracy: float) -> float:
        """The quantity at an accuracy."""
        x, y = self.accuracies, self.values
        i = bisect_left(x, accuracy)
        if i == 0:
            return y[0]
        if i == len(x):
            return y[-1]
        return y[i - 1] + (y[i] - y[i - 1]) * (accuracy - x[i - 1]) / (x[i] - x[i - 1])


@final
class Residual(Value):
    """What one recorded epoch had beside the model's mean."""

    accuracy: float
    """Of validation accuracy, in units of ``noise_scale``."""
    loss: float
    """Of the natural logarithm of validation loss."""
    train_accuracy: float
    """In units of ``noise_scale``."""
    train_loss: float
    """Of the natural logarithm of training loss."""


@final
class KindMultipliers(Value):
    """How much single adaptations of a kind differed from its kappa."""

    kind: str
    multipliers: tuple[float, ...] = Field(min_length=1)


@final
class KindProgress(Value):
    """What was measured of grafted blueprints of one kind in one stage; rows belong together."""

    kind: str
    stage: str
    reconstruction: tuple[float, ...] = ()
    """Median reconstruction loss by epochs in TRAINING, from 1; the last one holds on."""
    gradient_norms: tuple[float, ...] = ()
    gradient_variances: tuple[float, ...] = ()
    weight_drifts: tuple[float, ...] = ()


@final
class LayerHealth(Value):
    """Recorded columns of one layer: rows of eight metrics of one seed at one time, in the order of ``METRICS``."""

    layer: int = Field(ge=0)
    rows: tuple[tuple[float, ...], ...] = ()


@final
class ScoreOffset(Value):
    """Test accuracy minus validation accuracy of a run key, in units of ``noise_scale``."""

    run_key: int = Field(ge=0)
    offset: float


@final
class RunFeatures(Value):
    """What a policy did in one run that was fitted on, by the names in ``Dynamics.feature_names``."""

    policy: str
    run_key: int
    values: tuple[float, ...]


@final
class Dynamics(Value):
    """Everything that a simulated trainer knows, fitted to recorded runs of one scenario."""

    format: int = FORMAT
    scenario: str
    task: str
    hidden: tuple[int, ...]
    """Widths of the hidden layers of the host fitted on."""
    epochs: int = Field(ge=1)
    """Of the longest run fitted on."""
    members: tuple[Member, ...] = Field(min_length=1)
    multipliers: tuple[KindMultipliers, ...] = ()
    """By kind where there are enough; the empty kind holds all of them."""
    residuals: tuple[tuple[Residual, ...], ...] = ()
    """Blocks of at most 16 epochs in a row."""
    loss: Curve
    """Natural logarithm of validation loss."""
    train_loss: Curve
    """Natural logarithm of training loss."""
    train_gap: Curve
    """Training accuracy minus validation accuracy."""
    test_offsets: tuple[ScoreOffset, ...] = ()
    test_spread: tuple[float, ...] = ()
    """Residuals of test accuracy, in units of ``noise_scale``."""
    validation_samples: int = Field(default=0, ge=0)
    """Accuracies are multiples of one over this; 0 where they are not."""
    test_samples: int = Field(default=0, ge=0)
    host_parameters: int = Field(ge=0)
    progress: tuple[KindProgress, ...] = ()
    health: tuple[LayerHealth, ...] = ()
    feature_names: tuple[str, ...] = ()
    features: tuple[RunFeatures, ...] = ()
    fit_error: float = 0.0
    """Root mean square of validation accuracy around the first member's curves."""

    @cached_property
    def canonical(self) -> bytes:
        """Key-sorted JSON, UTF-8: the file's form, and what the digest is of."""
        document = json.loads(self.model_dump_json())
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical form, 64 hexadecimal digits."""
        return hashlib.sha256(self.canonical).hexdigest()


def save(dynamics: Dynamics, path: Path) -> None:
    """Write the canonical form. Raises OSError."""
    path.write_bytes(dynamics.canonical)


def load(path: Path) -> Dynamics:
    """Read what ``save`` wrote. Raises DynamicsUnreadable with one line for anything else, OSError."""
    return parse(path.read_bytes(), path.name)


def parse(content: bytes, name: str) -> Dynamics:
    """Dynamics from their canonical form; ``name`` is for the message. Raises DynamicsUnreadable."""
    try:
        document = json.loads(content)
        found = document["format"]
        if not isinstance(found, int) or found > FORMAT:
            raise DynamicsUnreadable(
                f"{name} holds dynamics of format {found} but this version reads up to {FORMAT}; use a newer version"
            )
        return Dynamics.model_validate(document, strict=False)
    except (ValidationError, UnicodeDecodeError, json.JSONDecodeError, LookupError, TypeError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise DynamicsUnreadable(
            f"{name} holds no dynamics ({len(content)} bytes: {said.splitlines()[0] if said else type(error).__name__}); "
            "fit them again"
        ) from error
