"""A blueprint in a slot: how it reads, writes, learns alone and is measured."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import get_total_norm, skip_init

from domain.blueprint import BlueprintGraph, Combine
from domain.commands import Reads
from domain.faults import FaultKind
from domain.header import LayerLayout
from domain.health import SeedProgress
from domain.identifiers import AdaptationId, BlueprintId, SeedId
from domain.lifecycle import Stage
from domain.shapes import flops, memory_mb
from engine.randomness import stream_seed
from engine.trainers.live.compiler import compile_blueprint
from engine.trainers.live.faults import GRADIENT_NORM_MAX, FaultTally
from engine.trainers.live.optimizer import adam

LOADED: Final = (
    Stage.LOADING,
    Stage.TRAINING,
    Stage.GRAFTING,
    Stage.STABILIZATION,
    Stage.EVALUATING,
    Stage.FINE_TUNING,
    Stage.ACTIVE,
    Stage.FOSSILIZED,
)
"""Stages in which the trainer holds a compiled blueprint. In every other one the slot is the identity."""
IN_FORWARD: Final = LOADED[2:]
"""Stages in which the blueprint's output reaches the host, as far as alpha lets it."""
MEAN_WEIGHT: Final = 0.9
"""Share of the old value in the running mean of weights that drift is measured against. Source: D5, drift control."""
VARIANCE_MIN: Final = 1e-12
"""Added to the variance of what an isolated blueprint reads: a constant input cannot be explained, not even by chance."""


def generator(run_key: int, name: str, epoch: int = 0) -> torch.Generator:
    """A torch generator at the start of the named stream of ``epoch``."""
    return torch.Generator().manual_seed(stream_seed(run_key, name, epoch))


def what_is_read(reads: Reads, *, inputs: Tensor, outputs: Tensor, chunk: Tensor) -> Tensor:
    """(B, read) of a layer's input (B, inputs), its ungrafted output (B, outputs) and a slot's ``chunk`` of that."""
    match reads:
        case Reads.CHUNK:
            return chunk
        case Reads.LAYER:
            return outputs
        case Reads.INPUT:
            return inputs
        case Reads.BOTH:
            return torch.cat((inputs, outputs), dim=1)


def linear(inputs: int, outputs: int, random: torch.Generator) -> nn.Linear:
    """A linear layer drawn from ``random`` alone: U(-b, b) with b = inputs^-1/2, as torch draws its own."""
    layer: nn.Linear = skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    bound = inputs**-0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=random)
        layer.bias.uniform_(-bound, bound, generator=random)
    return layer


def gradient_norm(parameters: Iterable[nn.Parameter]) -> float | None:
    """L2 norm of all gradients there are; None where there is none."""
    found = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return float(get_total_norm(found, foreach=True)) if found else None


@final
class Isolation:
    """Learning alone: hidden units and a throw-away decoder reconstruct what the blueprint reads.

    The blueprint's output takes no part, so it stays the identity, and what is read comes detached, so nothing of the
    host is touched.
    """

    def __init__(self, module: nn.Module, latent: int, read: int, rate: float, random: torch.Generator) -> None:
        self.decoder: Final = linear(latent, read, random)
        self.parameters: Final = {
            **{f"blueprint.{name}": parameter for name, parameter in module.named_parameters()},
            **{f"decoder.{name}": parameter for name, parameter in self.decoder.named_parameters()},
        }
        self.optimizer: Final = adam(self.parameters.values(), rate)


@final
class Graft:
    """One adaptation's blueprint, compiled into its slot. Starts as the identity."""

    def __init__(
        self,
        adaptation: AdaptationId,
        blueprint_id: BlueprintId,
        graph: BlueprintGraph,
        reads: Reads,
        layout: LayerLayout,
        run_key: int,
    ) -> None:
        """Raise ShapeMismatch if the graph does not fit the slot."""
        self.seed: Final[SeedId] = adaptation.seed
        self.attempt: Final = adaptation.attempt
        self.name: Final = str(adaptation)
        self.blueprint_id: Final = blueprint_id
        self.reads: Final = reads
        self.start, self.stop = layout.chunk(self.seed.index)
        read, chunk = layout.read_width(reads, self.seed.index), self.stop - self.start
        self.module: Final = compile_blueprint(
            graph, read=read, chunk=chunk, generator=generator(run_key, f"kasmina/{self.name}")
        )
        self.parameters: Final = tuple(self.module.parameters())
        self.blends: Final = graph.combine is Combine.BLEND
        self.flops: Final = flops(graph, read=read, chunk=chunk)
        self.memory_mb: Final = memory_mb(graph, read=read, chunk=chunk)
        self.mean_weights: Final = tuple(parameter.detach().clone() for parameter in self.parameters)
        """Running mean of each parameter over the steps that trained it."""
        self.stage = Stage.LOADING
        self.alpha = 0.0
        self.isolation: Isolation | None = None
        self.faults = FaultTally()
        self.norms: list[float] = []
        """Gradient norms of this epoch's steps."""

    def begin(self) -> None:
        """Forget the measurements of the epoch before."""
        self.faults = FaultTally()
        self.norms = []

    def isolate(self, rate: float, run_key: int) -> None:
        """Begin to learn alone, unless it does so already."""
        if self.isolation is None:
            random = generator(run_key, f"kasmina/{self.name}/decoder")
            self.isolation = Isolation(self.module, self.module.latent_width, self.module.read, rate, random)

    def train_if(self, trains: bool) -> None:
        """Let the parameters learn in the forward and backward pass, or hold them still."""
        for parameter in self.parameters:
            parameter.requires_grad_(trains)
            parameter.grad = None

    def read(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        """What the blueprint reads of its layer's input (B, inputs) and ungrafted output (B, outputs)."""
        return what_is_read(self.reads, inputs=inputs, outputs=outputs, chunk=outputs[:, self.start : self.stop])

    def write(self, inputs: Tensor, outputs: Tensor) -> Tensor | None:
        """The chunk with the blueprint blended in, (B, chunk); None where it failed and the identity has to do."""
        chunk = outputs[:, self.start : self.stop]
        try:
            given = self.module(self.read(inputs, outputs), chunk)
        except RuntimeError as error:
            self.faults.failed(FaultKind.SHAPE, str(error).splitlines()[0])
            return None
        if given.shape != chunk.shape:
            self.faults.failed(FaultKind.SHAPE, f"gave shape {tuple(given.shape)} for a chunk {tuple(chunk.shape)}")
            return None
        # One sum is the cheapest look at every value; one that overflows is as far beyond use as an infinity.
        if not math.isfinite(total := float(given.detach().sum())):
            self.faults.failed(FaultKind.NON_FINITE, f"the outputs of a batch sum to {total}")
            return None
        self.faults.held(FaultKind.SHAPE, FaultKind.NON_FINITE)
        if self.blends:
            return torch.lerp(chunk, given, self.alpha)
        return torch.add(chunk, given, alpha=self.alpha)

    def accept_gradient(self, parameters: Iterable[nn.Parameter]) -> bool:
        """Record this step's gradient norm; where it explodes count a fault, drop the gradients and say no."""
        wanted = tuple(parameters)
        norm = gradient_norm(wanted)
        if norm is None:
            return False
        if not norm <= GRADIENT_NORM_MAX:
            self.faults.failed(FaultKind.EXPLODING_GRADIENT, f"gradient norm {norm:.4g} above {GRADIENT_NORM_MAX:g}")
            for parameter in wanted:
                parameter.grad = None
            return False
        self.faults.held(FaultKind.EXPLODING_GRADIENT)
        self.norms.append(norm)
        return True

    def learn_alone(self, inputs: Tensor, outputs: Tensor) -> None:
        """One isolated step on a batch that the layer has just seen, both tensors detached."""
        isolation = self.isolation
        assert isolation is not None, f"{self.name} is not in isolation"
        with torch.enable_grad():
            read = self.read(inputs, outputs)
            loss = functional.mse_loss(self._reconstruct(isolation, read, outputs), read)
            isolation.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        if not math.isfinite(value := float(loss.detach())):
            self.faults.failed(FaultKind.NON_FINITE, f"the reconstruction loss of a batch is {value}")
        elif self.accept_gradient(isolation.parameters.values()):
            self.faults.held(FaultKind.NON_FINITE)
            isolation.optimizer.step()
            self.stepped()

    def stepped(self) -> None:
        """Move the running mean of the weights on, after an optimizer's step."""
        with torch.no_grad():
            for mean, parameter in zip(self.mean_weights, self.parameters, strict=True):
                mean.lerp_(parameter, 1.0 - MEAN_WEIGHT)

    def _drift(self) -> float:
        """Distance of the weights from their running mean, relative to its norm; 0 where there is nothing to drift."""
        length = math.hypot(*(float(mean.norm()) for mean in self.mean_weights))
        pairs = zip(self.parameters, self.mean_weights, strict=True)
        return math.hypot(*(float((own.detach() - mean).norm()) for own, mean in pairs)) / length if length else 0.0

    def _reconstruct(self, isolation: Isolation, read: Tensor, outputs: Tensor) -> Tensor:
        latent = self.module.latent(read, outputs[:, self.start : self.stop])
        decoded: Tensor = isolation.decoder(latent)
        return decoded

    def unexplained(self, inputs: Tensor, outputs: Tensor) -> float | None:
        """Share of the variance of what it reads that it fails to reconstruct, [0, inf); None outside isolation."""
        if self.isolation is None:
            return None
        read = self.read(inputs, outputs)
        error = functional.mse_loss(self._reconstruct(self.isolation, read, outputs), read)
        variance = read.var(dim=0, correction=0).mean()
        return float(error / (variance + VARIANCE_MIN))

    def progress(self, latency_ms: float, reconstruction_loss: float | None) -> SeedProgress:
        """What this epoch measured."""
        mean = math.fsum(self.norms) / len(self.norms) if self.norms else 0.0
        variance = math.fsum((norm - mean) ** 2 for norm in self.norms) / len(self.norms) if self.norms else 0.0
        return SeedProgress(
            index=self.seed.index,
            reconstruction_loss=reconstruction_loss,
            gradient_norm=mean,
            gradient_variance=variance,
            weight_drift=self._drift(),
            latency_ms=latency_ms,
            memory_mb=self.memory_mb,
        )
