"""Urabrask's crucible on torch: a candidate is really grafted, really trained and really attacked.

Nothing of a run takes part: data and weights come from streams of a key of the crucible's own, on one thread, and no
generator of torch's is used. The hosts are trained once a process and kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from domain.blueprint import BlueprintGraph, Combine
from domain.commands import Reads
from domain.hardware import HardwareContext
from domain.shapes import ShapeMismatch
from domain.urabrask.certificate import Examination
from domain.urabrask.trials import (
    ATTACK,
    BATCH,
    CONVERGED,
    CORRUPTION,
    EPOCHS,
    LEARNING_RATE,
    SAMPLES,
    SLOT,
    TASKS,
    TaskTrial,
    examined,
    misfit,
    untried,
)
from engine.randomness import stream
from engine.trainers.live.compiler import CompiledBlueprint, compile_blueprint
from engine.trainers.live.fingerprint import settle
from engine.trainers.live.grafts import generator, gradient_norm, linear, what_is_read
from engine.trainers.live.optimizer import adam

KEY: Final = 4
"""In place of a run key, in every run: a candidate's measures must not depend on who examines it or when."""
CLASSES: Final = 2
DISTRACTION: Final = 0.1
"""Standard deviation of the features that say nothing."""
BITS: Final = 4
BIT_NOISE: Final = 0.25
RINGS: Final = 4
RING: Final = 0.5
"""Width of a ring, and radius of the hole in the middle."""
RING_GAP: Final = 0.15
"""Share of a ring's width that is empty, at either side."""
TURNS: Final = 2.5
INNERMOST: Final = 0.15
"""Where a spiral begins, as a share of its length."""
SPIRAL_RADIUS: Final = 1.8
SPIRAL_NOISE: Final = 0.03


def _parity(dice: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Bits as noisy signs, (SAMPLES, BITS); the label is whether an odd number of them is set."""
    bits = dice.integers(0, 2, size=(SAMPLES, BITS))
    return 2.0 * bits - 1.0 + BIT_NOISE * dice.standard_normal(bits.shape), bits.sum(axis=1) % CLASSES


def _rings(dice: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Concentric rings in the plane, (SAMPLES, 2), whose classes take turns."""
    number = np.arange(SAMPLES) % RINGS
    directions = dice.standard_normal((SAMPLES, 2))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radius = RING * (1.0 + number + dice.uniform(RING_GAP, 1.0 - RING_GAP, SAMPLES))
    return directions * radius[:, None], number % CLASSES


def _spirals(dice: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Two spirals in the plane, (SAMPLES, 2), one inside the other."""
    labels = np.arange(SAMPLES) % CLASSES
    along = dice.uniform(INNERMOST, 1.0, SAMPLES)
    angle = 2.0 * np.pi * TURNS * along + np.pi * labels
    places = SPIRAL_RADIUS * along * np.stack((np.cos(angle), np.sin(angle)))
    return places.T + SPIRAL_NOISE * dice.standard_normal((SAMPLES, 2)), labels


_DRAWN: Final = {"parity": _parity, "rings": _rings, "spirals": _spirals}
assert tuple(_DRAWN) == TASKS


def _drawn(task: str, part: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Inputs (SAMPLES, features), of which those beyond the task's own say nothing, and labels (SAMPLES,) of a part."""
    dice = stream(KEY, f"urabrask/{task}/{part}")
    told, labels = _DRAWN[task](dice)
    idle = DISTRACTION * dice.standard_normal((SAMPLES, SLOT.inputs - told.shape[1]))
    return np.concatenate((told, idle), axis=1), labels


@final
@dataclass(frozen=True, slots=True)
class _Part:
    """Data of a task as tensors; ``hidden`` is what the frozen host's layer makes of them."""

    inputs: Tensor
    hidden: Tensor
    labels: Tensor

    def batches(self) -> Iterator[_Part]:
        """In order: the samples are drawn independently, so every order is as good."""
        for start in range(0, len(self.labels), BATCH):
            taken = slice(start, start + BATCH)
            yield _Part(self.inputs[taken], self.hidden[taken], self.labels[taken])


@final
class _Bench:
    """A task with its host: trained until it can do no better, then frozen."""

    def __init__(self, task: str) -> None:
        self.task: Final = task
        random = generator(KEY, f"urabrask/{task}/host")
        self._layer: Final = linear(SLOT.inputs, SLOT.outputs, random)
        self._head: Final = linear(SLOT.outputs, CLASSES, random)
        inputs, labels = self._tensors("train")
        self._settle_host(inputs, labels)
        self.train: Final = self.part(inputs, labels)
        self.validation: Final = self.part(*self._tensors("validation"))
        noise = stream(KEY, f"urabrask/{task}/corruption").standard_normal((SAMPLES, SLOT.inputs))
        corruption = torch.tensor(CORRUPTION * noise, dtype=torch.float32)
        self.corrupted: Final = self.part(self.validation.inputs + corruption, self.validation.labels)
        self.accuracy: Final = _accuracy(self._head(self.validation.hidden), self.validation.labels)

    def _tensors(self, part: str) -> tuple[Tensor, Tensor]:
        inputs, labels = _drawn(self.task, part)
        return torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)

    def _settle_host(self, inputs: Tensor, labels: Tensor) -> None:
        learnt = [*self._layer.parameters(), *self._head.parameters()]
        optimizer = adam(learnt, LEARNING_RATE)
        for _ in range(2 * EPOCHS):
            for taken, wanted in zip(torch.split(inputs, BATCH), torch.split(labels, BATCH), strict=True):
                optimizer.zero_grad(set_to_none=True)
                functional.cross_entropy(self._head(self.hidden(taken)), wanted).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        for parameter in learnt:
            parameter.requires_grad_(False)
            parameter.grad = None

    def hidden(self, inputs: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs): the layer that is written to, before anything is."""
        return torch.relu(self._layer(inputs))

    def part(self, inputs: Tensor, labels: Tensor) -> _Part:
        """Data as the candidate meets them."""
        return _Part(inputs, self.hidden(inputs), labels)

    def logits(self, candidate: CompiledBlueprint, reads: Reads, part: _Part) -> Tensor:
        """(B, classes) with the candidate fully blended in."""
        read = what_is_read(reads, inputs=part.inputs, outputs=part.hidden, chunk=part.hidden)
        given = candidate(read, part.hidden)
        written = part.hidden + given if candidate.graph.combine is Combine.ADD else given
        logits: Tensor = self._head(written)
        return logits


@lru_cache(maxsize=len(TASKS))
def _bench(task: str) -> _Bench:
    return _Bench(task)


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return int((logits.argmax(dim=1) == labels).sum()) / len(labels)


def _step(bench: _Bench, candidate: CompiledBlueprint, reads: Reads, part: _Part, optimizer: torch.optim.Adam) -> float:
    """One step; gives the gradient's norm, NaN where the loss was not finite."""
    loss = functional.cross_entropy(bench.logits(candidate, reads, part), part.labels)
    if not math.isfinite(float(loss.detach())):
        return math.nan
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = gradient_norm(candidate.parameters()) or 0.0
    optimizer.step()
    return norm


def _learnt(bench: _Bench, candidate: CompiledBlueprint, reads: Reads) -> tuple[list[float], list[float]]:
    """Validation accuracy of each epoch and gradient norm of each step; the last is NaN where it gave up.

    What has nothing to learn is looked at once.
    """
    learns = [parameter for parameter in candidate.parameters() if parameter.requires_grad]
    if not learns:
        return [_validated(bench, candidate, reads)], []
    optimizer = adam(learns, LEARNING_RATE)
    curve: list[float] = []
    norms: list[float] = []
    for _ in range(EPOCHS):
        for part in bench.train.batches():
            norms.append(_step(bench, candidate, reads, part, optimizer))
            if not math.isfinite(norms[-1]):
                return [math.nan], norms
        curve.append(_validated(bench, candidate, reads))
    return curve, norms


def _validated(bench: _Bench, candidate: CompiledBlueprint, reads: Reads) -> float:
    """Validation accuracy; NaN where an output is not finite."""
    with torch.no_grad():
        logits = bench.logits(candidate, reads, bench.validation)
    return _accuracy(logits, bench.validation.labels) if bool(logits.isfinite().all()) else math.nan


def _attacked(bench: _Bench, candidate: CompiledBlueprint, reads: Reads) -> float:
    """Share of right answers that moving each feature by ``ATTACK`` against them turns; 0 where none was right."""
    labels = bench.validation.labels
    inputs = bench.validation.inputs.clone().requires_grad_()
    logits = bench.logits(candidate, reads, bench.part(inputs, labels))
    (slope,) = torch.autograd.grad(functional.cross_entropy(logits, labels), inputs)
    with torch.no_grad():
        moved = bench.logits(candidate, reads, bench.part(inputs + ATTACK * slope.sign(), labels))
    right = logits.argmax(dim=1) == labels
    turned = right & (moved.argmax(dim=1) != labels)
    return int(turned.sum()) / max(int(right.sum()), 1)


def _variance(norms: list[float]) -> float:
    if not all(map(math.isfinite, norms)):
        return math.nan
    return float(np.var(norms)) if norms else 0.0


def _trial(bench: _Bench, graph: BlueprintGraph, reads: Reads) -> TaskTrial:
    candidate = compile_blueprint(
        graph,
        read=SLOT.read_width(reads, 0),
        chunk=SLOT.outputs,
        generator=generator(KEY, f"urabrask/{bench.task}/candidate"),
    )
    curve, norms = _learnt(bench, candidate, reads)
    last = curve[-3:]
    accuracy = math.fsum(last) / len(last)
    best = max(curve)
    with torch.no_grad():
        corrupted = _accuracy(bench.logits(candidate, reads, bench.corrupted), bench.corrupted.labels)
    return TaskTrial(
        accuracy=accuracy,
        gain=accuracy - bench.accuracy,
        convergence_epochs=next((at for at, value in enumerate(curve, 1) if value >= CONVERGED * best), len(curve)),
        max_gradient_norm=max(norms, default=0.0),
        gradient_variance=_variance(norms),
        corrupted_accuracy=corrupted,
        attacked=_attacked(bench, candidate, reads),
    )


def examine(graph: BlueprintGraph, reads: Reads, hardware: HardwareContext) -> Examination:
    """Train and attack the candidate on every task, on one thread; 0.3 to 2 s as a rule; the slowest of 150 random children took 3.4 s.

    Leaves torch at one thread: whoever trains next settles its own. Whatever the candidate does is a failed stage.
    """
    problem = misfit(graph, reads)
    if problem is not None:
        return untried(problem)
    settle(1)
    try:
        with torch.enable_grad():
            trials = [_trial(_bench(task), graph, reads) for task in TASKS]
    except (ShapeMismatch, RuntimeError) as error:
        return untried(f"it cannot be run: {str(error).splitlines()[0]}")
    return examined(graph, reads, hardware, trials)
