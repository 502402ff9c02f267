"""Which recorded runs of a scenario make a log, what each is worth, and why the others were left out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from domain.events import DomainEvent, RunEnded, TestScored
from domain.header import RunHeader
from domain.lifecycle import SIMPLIFIED
from domain.tamiyo.policy import TamiyoPolicy
from engine.controllers import PolicyFailed
from engine.courses import Cast, header_of
from engine.evaluation.recorded.log import RecordedLog, record_log
from engine.evaluation.recorded.runs import RecordedRun, Unusable, read_run
from scenarios import composition
from scenarios.specification import BadInput, Scenario
from scenarios.whatif.figures import figures
from scenarios.whatif.question import FAILED_SCORE, Metric, Question

BASE: Final = "never_grow"
"""The policy whose mean is the floor that risk is measured from."""
SECTIONS: Final = ("task", "host", "training", "gates", "grafting", "tamiyo_config", "hardware", "safety")
"""What of a header must be the scenario's."""

LogRun = tuple[str, Sequence[DomainEvent]]
"""A run's id and events."""


@final
@dataclass(frozen=True, slots=True)
class Gathered:
    """Recorded runs, those of use and the others."""

    logs: Mapping[str, RecordedLog]
    """By lifecycle profile."""
    policies: Mapping[str, TamiyoPolicy]
    """The policies that recorded them, by hash, as far as they are here unchanged."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Runs that are not used, by reason."""
    base: tuple[float, ...] = ()
    """What runs under ``never_grow`` came to, used or not."""

    @property
    def runs(self) -> tuple[RecordedRun, ...]:
        """All that are used."""
        return tuple(run for log in self.logs.values() for run in log.runs)


def gather(question: Question, log_runs: Iterable[LogRun], *, deterministic: bool) -> Gathered:
    """The logs that ``log_runs`` make for a question; of policies that never draw only where ``deterministic``.

    Whether a policy draws is judged by all of its runs: leaving out single runs would choose by what came of them. The
    same policy on the same run key again is the same run, such as a fork that changed nothing, and counts once.
    """
    runs: list[RecordedRun] = []
    seen: set[tuple[str, int]] = set()
    left_out: Counter[str] = Counter()
    base: list[float] = []
    for run, events in log_runs:
        header = header_of(events)
        wrong = differing(header, question.scenario)
        if wrong is not None:
            left_out[f"recorded with other {wrong} settings"] += 1
            continue
        try:
            read = read_run(run, events, worth(run, events, question.metric))
        except Unusable as unusable:
            left_out[str(unusable)] += 1
            continue
        if (read.behaviour, header.run_key) in seen:
            left_out[f"{header.tamiyo.name} on a run key that it has a run on already"] += 1
            continue
        seen.add((read.behaviour, header.run_key))
        runs.append(read)
        if header.tamiyo.name == BASE:
            base.append(read.result)
    drawing = {run.behaviour for run in runs if deterministic or run.draws}
    for each in runs:
        if each.behaviour not in drawing:
            left_out[f"{each.header.tamiyo.name} draws nothing"] += 1
    kept = [run for run in runs if run.behaviour in drawing]
    return _logs(kept, left_out, tuple(base))


def worth(run: str, events: Sequence[DomainEvent], metric: Metric) -> float:
    """The metric of a run; one that ended badly counts as 0, as wherever policies are compared. NaN for none."""
    endings = [event.ending.value for event in events if isinstance(event, RunEnded)]
    if endings[-1:] != ["COMPLETED"]:
        return FAILED_SCORE
    if metric == "final_accuracy":  # all figures take a while
        scores = [event.accuracy for event in events if isinstance(event, TestScored) and event.occasion == "ending"]
        return scores[-1] if scores else math.nan
    found = getattr(figures(run, events, {}, None), metric)
    return math.nan if found is None else float(found)


def differing(header: RunHeader, scenario: Scenario) -> str | None:
    """The first section in which a run's header is not the scenario's; its policy and run key may be any."""
    for section in SECTIONS:
        # The simplified lifecycle brings checks of its own.
        if section == "safety" and header.profile == SIMPLIFIED.name:
            continue
        if getattr(header, section) != getattr(scenario, section):
            return section
    return None if header.karn.name == scenario.karn else "karn"


def casting(policy: TamiyoPolicy) -> Cast:
    """The policy beside the Karn of each run."""
    return lambda header: (policy, composition.karn(header.karn.name)[0])


def _logs(runs: Sequence[RecordedRun], left_out: Counter[str], base: tuple[float, ...]) -> Gathered:
    """A log for each lifecycle. Of several behaviours, those that cannot be asked any more are left out."""
    policies: dict[str, TamiyoPolicy] = {}
    for run in runs:
        found = policies.get(run.behaviour) or _unchanged(run.header)
        if found is not None:
            policies[run.behaviour] = found
    logs: dict[str, RecordedLog] = {}
    for profile in dict.fromkeys(run.header.profile for run in runs):
        own = [run for run in runs if run.header.profile == profile]
        if len({run.behaviour for run in own}) > 1:
            gone = [run for run in own if run.behaviour not in policies]
            left_out.update(f"policy {run.header.tamiyo.name} is not here as it was recorded" for run in gone)
            own = [run for run in own if run.behaviour in policies]
        if own:
            try:
                logs[profile] = record_log(own, {name: casting(policy) for name, policy in policies.items()})
            except PolicyFailed as failure:
                raise BadInput(f"a policy of the log cannot bear another one's run: {failure}") from failure
    return Gathered(logs, policies, left_out, base)


def _unchanged(header: RunHeader) -> TamiyoPolicy | None:
    """The policy that recorded a run, if it is still the same."""
    try:
        policy, reference = composition.tamiyo(header.tamiyo.name)
    except BadInput:
        return None
    return policy if reference.digest == header.tamiyo.digest else None
