"""Adam over parameters that come and go: rebuilt from a manifest, the moments of those that stay kept.

Source: Tolaria's dynamic optimizer manager (domain reference I3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, final

import torch
from torch import Tensor, nn

from domain.settings import TrainingSettings

HOST: Final = "host"
"""Name of the group of the host's parameters; a blueprint's group has the name of its adaptation."""
STATE: Final = ("step", "exp_avg", "exp_avg_sq")
"""What Adam keeps of a parameter: steps taken, mean gradient, mean squared gradient."""
BETAS: Final = (0.9, 0.999)


@final
@dataclass(frozen=True, slots=True)
class Group:
    """A line of the manifest: parameters that share a learning rate."""

    name: str
    parameters: Mapping[str, nn.Parameter]
    """By their names in the whole network, in a fixed order; not empty."""
    learning_rate: float


def blueprint_rate(settings: TrainingSettings) -> float:
    """The learning rate of every blueprint, alone or in the host."""
    return settings.learning_rate * settings.blueprint_learning_rate_factor


def adam(parameters: Iterable[Tensor], learning_rate: float) -> torch.optim.Adam:
    """A fresh Adam of the one implementation that runs use: ``foreach``, whose bits differ from ``fused``."""
    return torch.optim.Adam(parameters, lr=learning_rate, betas=BETAS, foreach=True, fused=False)


@final
class DynamicOptimizer:
    """Adam with a group for the host and one for each blueprint that trains on the task."""

    def __init__(self, settings: TrainingSettings, host: Mapping[str, nn.Parameter]) -> None:
        self._settings = settings
        self._host = Group(HOST, host, settings.learning_rate)
        self._groups: tuple[Group, ...] = ()
        self._adam = adam([torch.zeros(())], settings.learning_rate)
        self.rebuild(())

    @property
    def manifest(self) -> tuple[str, ...]:
        """Names of the groups: the host's, then the blueprints' in order."""
        return tuple(group.name for group in self._groups)

    def rebuild(self, blueprints: Iterable[tuple[str, Mapping[str, nn.Parameter]]]) -> bool:
        """Train the host and exactly these blueprints from now on. Tells whether anything changed.

        A parameter that was trained before keeps its moments and steps; a new one starts without.
        """
        rate = blueprint_rate(self._settings)
        groups = (self._host, *(Group(name, parameters, rate) for name, parameters in blueprints if parameters))
        wanted = [id(parameter) for group in groups for parameter in group.parameters.values()]
        present = [id(parameter) for group in self._groups for parameter in group.parameters.values()]
        if wanted == present:
            return False
        old = self._adam
        self._groups = groups
        self._adam = torch.optim.Adam(
            [{"params": list(group.parameters.values()), "lr": group.learning_rate} for group in groups],
            betas=BETAS,
            weight_decay=self._settings.weight_decay,
            foreach=True,
            fused=False,
        )
        for group in groups:
            for parameter in group.parameters.values():
                if parameter in old.state:
                    self._adam.state[parameter] = old.state[parameter]
        return True

    def amend(self, settings: TrainingSettings) -> None:
        """Learn at the rates and with the weight decay of ``settings`` from now on; moments and steps stay."""
        self._settings = settings
        self._host = replace(self._host, learning_rate=settings.learning_rate)
        rate = blueprint_rate(settings)
        self._groups = (self._host, *(replace(group, learning_rate=rate) for group in self._groups[1:]))
        for group, options in zip(self._groups, self._adam.param_groups, strict=True):
            options["lr"] = group.learning_rate
            options["weight_decay"] = settings.weight_decay

    def clear(self) -> None:
        """Drop every gradient; a parameter without one is not stepped and its moments stay as they are."""
        self._adam.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Take a step with the gradients that there are."""
        self._adam.step()

    def moments(self, parameter: nn.Parameter) -> tuple[Tensor, Tensor, int] | None:
        """Mean gradient, mean squared gradient (both biased) and steps taken; None before the first step."""
        state = self._adam.state.get(parameter)
        return None if not state else (state["exp_avg"], state["exp_avg_sq"], int(state["step"]))

    def tensors(self) -> dict[str, Tensor]:
        """Adam's state of every parameter, named ``PARAMETER/PART``."""
        return {
            f"{name}/{part}": self._adam.state[parameter][part]
            for group in self._groups
            for name, parameter in group.parameters.items()
            if self._adam.state.get(parameter)
            for part in STATE
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what ``tensors`` gave; parameters it does not name start without state."""
        load_state(self._adam, {name: p for group in self._groups for name, p in group.parameters.items()}, tensors)


def state_tensors(optimizer: torch.optim.Adam, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of a plain Adam, named ``PARAMETER/PART``."""
    return {
        f"{name}/{part}": optimizer.state[parameter][part]
        for name, parameter in parameters.items()
        if optimizer.state.get(parameter)
        for part in STATE
    }


def load_state(optimizer: torch.optim.Adam, parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Replace the optimizer's state by ``tensors`` (copied). Raises KeyError if only a part of one is there."""
    optimizer.state.clear()
    for name, parameter in parameters.items():
        if f"{name}/{STATE[0]}" in tensors:
            optimizer.state[parameter] = {part: tensors[f"{name}/{part}"].clone() for part in STATE}
