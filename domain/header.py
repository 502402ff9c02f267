"""The first thing a run records: everything needed to run it again."""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Final, Literal, final

from pydantic import Field

from domain.commands import Reads
from domain.gates import GateSettings
from domain.grafting import GraftingConfig
from domain.hardware import HardwareContext
from domain.reward.config import REWARDS, RewardConfig
from domain.safety import SafetyConfig
from domain.settings import HostSettings, TaskSettings, TrainingSettings
from domain.tamiyo.config import TamiyoConfig
from domain.values import Value


@final
class Rule(Enum):
    """A numbered behaviour of the engine that a run was recorded under. An old journal keeps its old rules."""

    REPORTS_BEFORE_DECISIONS = "R1"
    BASELINE_AT_GRAFTING = "R2"
    ROLLBACK_CONCLUDES_ALL_IN_HOST = "R3"
    PLATEAU_AGAINST_BEST = "R4"
    LEGAL_ACTIONS_RECORDED = "R5"
    REWARDS_RECORDED = "R6"
    """Every conclusion is followed by its seven-component reward."""
    CANDIDATES_CERTIFIED = "R7"
    """What Karn proposes goes through the crucible before it enters the library."""
    GOVERNED = "R8"
    """Tolaria's watchdog also knows a network that forgot its task, and a seed that fails in a tenth of its batches."""
    CHOICES_EXPLAINED = "R9"
    """Everything that a choice weighed says what its score is made of, or which rule vetoed it."""
    GRAFTING_REVIEWED = "R10"
    """Large, deep and untried graphs are blended in under drift control, and a ramp follows the network's condition."""


RULES_IN_FORCE: Final = tuple(Rule)


@final
class Fingerprint(Value):
    """What the bits of a live run depend on beside the run key. A replay under another one is not comparable."""

    torch: str
    python: str
    cpu_capability: str
    machine: str
    threads: int
    device: Literal["cpu", "cuda"] = "cpu"


@final
class PolicyReference(Value):
    """Which policy, and of which source."""

    name: str
    """A built-in name, ``module:Class`` or ``path/to/file.py:Class``, with ``?parameter=value&...`` behind it if it has any."""
    source_digest: str
    """SHA-256 of the source that defines it: of a built-in policy its whole room, of any other its file."""

    @property
    def digest(self) -> str:
        """SHA-256 of name, parameters and the files that define it; what those import is not covered."""
        return hashlib.sha256(f"{self.name}\n{self.source_digest}".encode()).hexdigest()


@final
class LayerLayout(Value):
    """One KasminaLayer: widths in units and the number of seeds (chunks) it is cut into."""

    layer: int = Field(ge=0)
    inputs: int = Field(ge=1)
    outputs: int = Field(ge=1)
    seeds: int = Field(ge=1)

    def chunk(self, index: int) -> tuple[int, int]:
        """First unit and one past the last unit of chunk ``index``; widths differ by at most one, wider first."""
        width, wider = divmod(self.outputs, self.seeds)
        start = index * width + min(index, wider)
        return start, start + width + (1 if index < wider else 0)

    def chunk_width(self, index: int) -> int:
        """Units of chunk ``index``."""
        start, stop = self.chunk(index)
        return stop - start

    @property
    def flops(self) -> int:
        """Operations of the layer's own linear map and ReLU on one sample."""
        return self.outputs * (2 * self.inputs + 2)

    def read_width(self, reads: Reads, index: int) -> int:
        """Units of what a blueprint in chunk ``index`` reads."""
        match reads:
            case Reads.CHUNK:
                return self.chunk_width(index)
            case Reads.LAYER:
                return self.outputs
            case Reads.INPUT:
                return self.inputs
            case Reads.BOTH:
                return self.inputs + self.outputs


def layout_of(host: HostSettings, features: int) -> tuple[LayerLayout, ...]:
    """The KasminaLayers of a host on inputs of ``features`` units, one a hidden layer."""
    widths = (features, *host.hidden)
    return tuple(
        LayerLayout(layer=i, inputs=widths[i], outputs=widths[i + 1], seeds=host.seeds_per_layer)
        for i in range(len(host.hidden))
    )


@final
class RunHeader(Value):
    """Everything that decides what a run will be."""

    format: int = 1
    regrow: str
    scenario: str
    run_key: int = Field(ge=0)
    trainer: str = Field(default="live", pattern=r"^(live|simulated:[0-9a-f]{64}|recorded)$")
    """What trains: ``live``; ``simulated`` with the hash of the fitted dynamics; ``recorded``, which trains nothing."""
    profile: str
    tamiyo: PolicyReference
    karn: PolicyReference
    rules: tuple[Rule, ...] = RULES_IN_FORCE
    fingerprint: Fingerprint
    task: TaskSettings
    host: HostSettings
    layout: tuple[LayerLayout, ...]
    training: TrainingSettings
    gates: GateSettings
    grafting: GraftingConfig
    tamiyo_config: TamiyoConfig
    safety: SafetyConfig
    hardware: HardwareContext
    rewards: RewardConfig = Field(default=REWARDS, exclude_if=lambda rewards: rewards == REWARDS)

    @property
    def epochs(self) -> int:
        """Epochs the run is to train."""
        return self.training.epochs
