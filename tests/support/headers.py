"""Run headers for tests: small layouts, gates that open soon, everything else as it comes."""

from __future__ import annotations

from domain.gates import GateSettings, StageWindow
from domain.grafting import GraftingConfig
from domain.hardware import HardwareContext
from domain.header import Fingerprint, LayerLayout, PolicyReference, RunHeader
from domain.safety import SafetyConfig
from domain.settings import HostSettings, TaskSettings, TrainingSettings
from domain.tamiyo.config import TamiyoConfig

QUICK = GateSettings(
    training=StageWindow(min_epochs=1, max_epochs=4),
    grafting=StageWindow(min_epochs=1, max_epochs=8),
    stabilization=StageWindow(min_epochs=1, max_epochs=1),
    evaluating=StageWindow(min_epochs=1, max_epochs=3),
    fine_tuning=StageWindow(min_epochs=1, max_epochs=3),
    active=StageWindow(min_epochs=1, max_epochs=3),
    embargo_epochs=2,
)
"""Every stage may be left after one epoch."""


def small_header(
    *,
    profile: str = "full",
    layers: int = 2,
    seeds: int = 2,
    epochs: int = 12,
    run_key: int = 7,
    gates: GateSettings = QUICK,
    max_active_seeds: int = 2,
    checkpoint_every: int = 3,
    checkpoints_kept: int = 2,
    safety: SafetyConfig | None = None,
) -> RunHeader:
    """A header of ``layers`` layers of 8 units with ``seeds`` seeds each."""
    named = PolicyReference(name="test", source_digest="0" * 64)
    return RunHeader(
        regrow="0",
        scenario="test",
        run_key=run_key,
        profile=profile,
        tamiyo=named,
        karn=named,
        fingerprint=Fingerprint(torch="none", python="3", cpu_capability="none", machine="none", threads=1),
        task=TaskSettings(name="spirals"),
        host=HostSettings(hidden=(8,) * layers, seeds_per_layer=seeds),
        layout=tuple(LayerLayout(layer=i, inputs=8, outputs=8, seeds=seeds) for i in range(layers)),
        training=TrainingSettings(epochs=epochs, checkpoint_every=checkpoint_every, checkpoints_kept=checkpoints_kept),
        gates=gates,
        grafting=GraftingConfig(fixed_steps=2),
        tamiyo_config=TamiyoConfig(
            max_active_seeds=max_active_seeds, allow_concurrent_adaptations=max_active_seeds > 1
        ),
        safety=safety or SafetyConfig(),
        hardware=HardwareContext(),
    )
