"""Control arms: what else could explain a policy's gain. No growth, a larger host, more training, another time or blueprint."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import final

from domain.header import layout_of
from domain.values import Value
from scenarios.specification import Scenario
from scenarios.tasks.catalogue import TASKS
from scenarios.whatif.figures import Figures, training_gigaflops


@final
class Arm(Value):
    """What is compared: mostly a policy on the question's scenario, for a control arm on another host or longer."""

    label: str
    policy: str
    scenario: Scenario


def control_arms(scenario: Scenario, told: Sequence[Figures], *, from_scratch: bool) -> tuple[Arm, ...]:
    """The control arms of a policy whose runs on ``scenario`` gave ``told``.

    Sizes, work and the number of germinations are the means of its runs. Where all start from a common state there is
    no host to widen and no training to add.
    """
    if not told:
        return ()
    begun = round(statistics.fmean(figures.germinations for figures in told))
    policies = ["never_grow", "random_blueprint", f"random_time?germinations={begun}"]
    if begun:
        first, last = scenario.tamiyo_config.warm_up_epochs, scenario.training.epochs
        policies.append("fixed_schedule?epochs=" + "-".join(str(epoch) for epoch in _spread(begun, first, last)))
    arms = [Arm(label=name, policy=name, scenario=scenario) for name in policies]
    return (*arms, *_static_arms(scenario, told)) if from_scratch else tuple(arms)


def _spread(count: int, first: int, last: int) -> list[int]:
    """Epochs evenly between two others."""
    return [first + round((last - first) * (number + 1) / (count + 1)) for number in range(count)]


def _static_arms(scenario: Scenario, told: Sequence[Figures]) -> tuple[Arm, ...]:
    """The network of the final size, and the small one trained with as much work."""
    hidden = scenario.host.hidden
    final_size = round(host_parameters(scenario, hidden) + statistics.fmean(run.parameters_added for run in told))
    layout = layout_of(scenario.host, TASKS[scenario.task.name].features)
    an_epoch = training_gigaflops(sum(layer.flops for layer in layout), scenario.task, scenario.training)
    epochs = max(round(statistics.fmean(run.gigaflops for run in told) / an_epoch), 1)
    longer = scenario.training.model_copy(update={"epochs": epochs})
    return (
        Arm(
            label=f"static, {final_size} parameters",
            policy="never_grow",
            scenario=widened(scenario, final_size),
        ),
        Arm(
            label=f"static, equal work in {epochs} epochs",
            policy="never_grow",
            scenario=scenario.model_copy(update={"training": longer}),
        ),
    )


def widened(scenario: Scenario, parameters: int) -> Scenario:
    """The scenario with its hidden layers widened in proportion until the host has about ``parameters``."""
    factor = 1
    while host_parameters(scenario, [width * factor for width in scenario.host.hidden]) < parameters:
        factor += 1
    first = [width * factor for width in scenario.host.hidden]
    candidates = [[width - less for width in first] for less in range(min(scenario.host.hidden))]
    best = min(candidates, key=lambda hidden: abs(host_parameters(scenario, hidden) - parameters))
    return scenario.model_copy(update={"host": scenario.host.model_copy(update={"hidden": tuple(best)})})


def host_parameters(scenario: Scenario, hidden: Sequence[int]) -> int:
    """Parameters of a host with these hidden layers."""
    task = TASKS[scenario.task.name]
    widths = [task.features, *hidden, task.classes]
    return sum(widths[i] * widths[i + 1] + widths[i + 1] for i in range(len(widths) - 1))
