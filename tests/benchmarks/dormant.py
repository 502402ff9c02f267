"""What dormant KasminaLayers with telemetry cost over the plain host: the same training in a plain torch loop."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import torch
from hosts import HOSTS, header
from measuring import figure, in_turns, paired, say
from torch import Tensor, nn
from torch.nn import functional

from domain.events import RunStarted
from domain.header import RunHeader
from domain.identifiers import Epoch
from domain.run import RunState, evolve
from engine.randomness import stream
from engine.trainers.data import TaskData
from engine.trainers.live.host import build_host
from engine.trainers.live.kasmina import KasminaLayer
from engine.trainers.live.optimizer import adam
from engine.trainers.live.probes import PERIOD
from engine.trainers.live.tolaria import DIGEST_PERIOD, LiveTrainer
from engine.trainers.stores import MemoryStore
from scenarios import composition

LIMIT = 0.02
ROUNDS = 16 * PERIOD
"""Epochs. They are compared in blocks of ``PERIOD``, so that what is not done in every epoch is paid for in full."""
assert PERIOD % DIGEST_PERIOD == 0


class Plain:
    """The host without layers that could grow, as a person would train it: loss and accuracy, then validation."""

    def __init__(self, run: RunHeader, data: TaskData) -> None:
        grown = build_host(run.layout, data.classes, run.run_key)
        layers = [layer.host if isinstance(layer, KasminaLayer) else layer for layer in grown]
        self.host = nn.Sequential(*(part for layer in layers for part in parts(layer)))
        self.optimizer = adam(self.host.parameters(), run.training.learning_rate)
        self.train = torch.tensor(data.train.inputs), torch.tensor(data.train.labels)
        self.validation = torch.tensor(data.validation.inputs), torch.tensor(data.validation.labels)
        self.run = run
        self.epoch = 0

    def step(self) -> tuple[float, float, float, float]:
        self.epoch += 1
        found = stream(self.run.run_key, "tolaria/order", self.epoch).permutation(len(self.train[1]))
        order, size = torch.from_numpy(found), self.run.training.batch_size
        inputs, labels = self.train[0][order], self.train[1][order]
        total, right = 0.0, 0
        for start in range(0, len(labels), size):
            loss, hits = self.learn(inputs[start : start + size], labels[start : start + size])
            total, right = total + loss, right + hits
        with torch.no_grad():
            logits = self.host(self.validation[0])
            loss = float(functional.cross_entropy(logits, self.validation[1]))
            hits = int((logits.argmax(dim=1) == self.validation[1]).sum())
        return total / len(labels), right / len(labels), loss, hits / len(self.validation[1])

    def learn(self, inputs: Tensor, labels: Tensor) -> tuple[float, int]:
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.host(inputs)
        loss = functional.cross_entropy(logits, labels)
        loss.backward()
        self.optimizer.step()
        return loss.item() * len(labels), int((logits.argmax(dim=1) == labels).sum())


class Dormant:
    """The live trainer; nothing ever germinates."""

    def __init__(self, run: RunHeader, data: TaskData) -> None:
        self.trainer = LiveTrainer(data, MemoryStore())
        self.trainer.plant(run)
        self.state = evolve(RunState(), RunStarted(epoch=0, header=run))
        self.epoch = 0

    def step(self) -> None:
        self.epoch += 1
        trained = self.trainer.train(Epoch(self.epoch), self.state)
        assert trained.panic is None, trained.panic


def parts(layer: nn.Module) -> list[nn.Module]:
    return list(layer) if isinstance(layer, nn.Sequential) else [layer]


def blocks(costs: Sequence[float]) -> list[float]:
    """Sums over ``PERIOD`` rounds each."""
    return [sum(costs[start : start + PERIOD]) for start in range(0, len(costs), PERIOD)]


def measure(name: str, scenario: str, overrides: dict[str, Any], *, judged: bool) -> None:
    run, _, _ = header(scenario, overrides, "never_grow")
    data = composition.data(run)
    dormant, plain, again = Dormant(run, data), Plain(run, data), Plain(run, data)
    turns = in_turns({"dormant": dormant.step, "plain": plain.step, "again": again.step}, ROUNDS)
    costs = {who: blocks(found) for who, found in turns.items()}
    theirs = [weights for _, weights in dormant.trainer.network.module.named_parameters()]
    same = all(torch.equal(ours, their) for ours, their in zip(plain.host.parameters(), theirs, strict=True))
    assert same, "the plain loop did not train the same weights"
    digest = min(in_turns({"digest": dormant.trainer.network.digest}, 30)["digest"])
    epoch = statistics.median(turns["plain"])
    over, null = paired(costs["dormant"], costs["plain"]) - 1, paired(costs["again"], costs["plain"]) - 1
    limit, met = (f"{LIMIT:.0%}", over <= LIMIT) if judged else ("", None)
    say(f"{name}: {run.layout[0].seeds * len(run.layout)} dormant seeds, {epoch * 1e3:.1f} ms of CPU a plain epoch")
    figure("dormant layers with telemetry over the plain host", f"{over:+.2%}", limit, met=met)
    figure("  the same between two plain hosts: resolution", f"{null:+.2%}")
    figure("  difference an epoch, ms", f"{over * epoch * 1e3:.2f}")
    figure("  one digest of the weights, ms", f"{digest * 1e3:.2f}")


def main() -> None:
    """Print the figures."""
    say("dormant: CPU time of an epoch, train and validate, live trainer over a plain torch loop, bit-equal weights")
    for number, (name, scenario, overrides) in enumerate(HOSTS):
        measure(name, scenario, overrides, judged=number == 0)
