"""A seed chosen by what was tried instead of by need: which seeds are viable, what each would get, and one of them drawn.

Source: the assessed implementation's seed selector (D8 of our domain reference). It chooses among the legal actions of the
boundary, every viable seed with the blueprint and the grafting strategy that the other parts of the policy choose for it,
so the recorded odds are over whole germinations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from domain.commands import Considered, Decision, Germinate, GraftingStrategy, LegalActions, Plot, Wait
from domain.health import need
from domain.identifiers import SeedId
from domain.run import RunState
from domain.tamiyo.bandit_settings import SeedSelection
from domain.tamiyo.bandits import WAYS, Arms, Circumstances, Numbers, Ranking
from domain.tamiyo.candidates import CONSIDERED_MAX, VETOED_MAX, vetoed_seeds
from domain.tamiyo.growth import BLUEPRINT_STREAM, Makeup, Option, Options, Site
from domain.tamiyo.legal import Numbering, legal_actions
from domain.tamiyo.memory import TamiyoMemory
from domain.tamiyo.performance import Performance
from domain.tamiyo.policy import Observation, Randomness

SEED_STREAM: Final = "tamiyo/seed-selection"
_NOTHING: Final = Performance()


@final
@dataclass(frozen=True, slots=True)
class SelectionReason:
    """Why a seed was chosen."""

    strategy: SeedSelection
    seed: SeedId
    score: float
    reason: str
    alternatives_considered: tuple[Considered, ...]
    """The likeliest seeds, then those that a rule vetoed."""

    @property
    def said(self) -> str:
        """How a decision puts it."""
        return f"{self.strategy.value} takes seed {self.seed} at score {self.score:.4g}, {self.reason}"


@final
@dataclass(frozen=True, slots=True)
class _Order:
    """What a seed would get, and how far behind the first of its legal actions that stands."""

    option: Option
    grafting: GraftingStrategy
    why: str
    behind: int


@final
@dataclass(frozen=True, slots=True)
class _Lot:
    """Seeds that would get the same."""

    seeds: tuple[SeedId, ...]
    first: tuple[int, ...]
    """The number of each one's first legal action."""
    site: Site
    options: Options
    orders: tuple[_Order, ...]
    """One, or all that are alike."""


def chosen_by_bandit(
    observation: Observation, memory: TamiyoMemory, makeup: Makeup, random: Randomness, calls: str, surety: float
) -> Decision:
    """A germination drawn by the configured way of choosing seeds, or a recorded wait where none can be chosen.

    ``memory`` is that of this boundary; ``calls`` is what the trigger says, ``surety``, [0, 1], how surely.
    """
    state = observation.state
    settings = state.started.tamiyo_config.bandit
    active = state.places_taken + len(state.queue)
    if active >= settings.max_concurrent_seeds:
        return _wait(
            calls, f"{active} seeds are active, of at most {settings.max_concurrent_seeds}", vetoed_seeds(state)
        )
    legal = legal_actions(state)
    lots, refused = _lots(observation, memory, makeup, legal, calls, surety)
    free = [seed for lot in lots for seed in lot.seeds]
    if not free:
        return _wait(calls, "no blueprint may be put into any free seed", (*vetoed_seeds(state), *refused))
    known = {entry.seed: entry.performance for entry in memory.performances}
    vetoes = _vetoes(free, known, state)
    viable = np.array([seed not in vetoes for seed in free])
    vetoed = (*_noted(vetoes), *vetoed_seeds(state))
    if not viable.any() and not settings.fallback_to_first:
        return _wait(calls, "no seed is viable", vetoed)
    said = f"of {viable.sum()} viable ones" if viable.any() else "the first free one, as none is viable"
    viable[0] |= not viable.any()
    seeds = [seed for seed, is_viable in zip(free, viable, strict=True) if is_viable]
    arms = _arms(seeds, known, state)
    scores, chances = _weighed(seeds, arms, state, surety)
    at = _drawn(chances, random)
    reason = SelectionReason(
        strategy=state.started.tamiyo_config.seed_selection,
        seed=seeds[at],
        score=float(scores[at]),
        reason=f"{said}, at chance {chances[at]:.3g}",
        alternatives_considered=(*_likeliest(seeds, scores, chances, arms, known), *vetoed),
    )
    everywhere = np.zeros(len(free))
    everywhere[viable] = chances
    return _ordered(lots, int(np.flatnonzero(viable)[at]), everywhere, reason, legal, random)


def _weighed(seeds: Sequence[SeedId], arms: Arms, state: RunState, urgency: float) -> Ranking:
    """Score and chance of each seed by the configured way."""
    config = state.started.tamiyo_config
    last = state.last_germinations[-1][0] if state.last_germinations else None
    successor = 0 if last is None else next((at for at, seed in enumerate(seeds) if last < seed), 0)
    return WAYS[config.seed_selection](arms, Circumstances(state.epoch, urgency, config.bandit, successor))


def _wait(calls: str, why: str, considered: tuple[Considered, ...]) -> Decision:
    return Decision(command=Wait(), reason=f"{calls}, but {why}", considered=considered)


def _lots(
    observation: Observation, memory: TamiyoMemory, makeup: Makeup, legal: LegalActions, calls: str, surety: float
) -> tuple[list[_Lot], tuple[Considered, ...]]:
    """The free seeds in order by what they would get, and the blueprints refused where nothing may be put anywhere.

    Slots of a plot differ in nothing but in what failed there.
    """
    penalised = {entry.seed for entry in memory.penalties}
    reports = {report.layer: report for report in observation.reports}
    weights = observation.state.started.tamiyo_config.health_weights
    lots: list[_Lot] = []
    refused: tuple[Considered, ...] = ()
    first = 1
    for plot in legal.plots:
        layer = plot.seeds[0].layer
        report = reports.get(layer)
        health = 1.0 - float(need(report, weights).values.mean()) if report and report.seeds else 1.0
        for places in _alike(plot, penalised):
            at = Site(seed=plot.seeds[places[0]], health=health, reason=calls, confidence=surety, urgency=surety)
            options = makeup.blueprints(at, observation.state, memory)
            orders = tuple(_orders(at, options, makeup, observation, plot))
            if orders:
                row = len(plot.plants) * len(plot.graftings)
                seeds = tuple(plot.seeds[place] for place in places)
                lots.append(_Lot(seeds, tuple(first + place * row for place in places), at, options, orders))
            refused = refused or (() if orders else options.considered)
        first += len(plot)
    return lots, refused


def _alike(plot: Plot, penalised: set[SeedId]) -> Iterator[Sequence[int]]:
    """Stretches of a plot's places, in order: each that something failed in is one of its own."""
    start = 0
    for place in [at for at, seed in enumerate(plot.seeds) if seed in penalised] if penalised else ():
        if start < place:
            yield range(start, place)
        yield (place,)
        start = place + 1
    if start < len(plot.seeds):
        yield range(start, len(plot.seeds))


def _orders(site: Site, options: Options, makeup: Makeup, observation: Observation, plot: Plot) -> Iterator[_Order]:
    """What may be ordered for the site: the best, or all where they are alike."""
    alone = LegalActions(plots=(plot.model_copy(update={"seeds": (site.seed,)}),))
    numbering = Numbering(alone)
    for option in options.ranked if options.alike else options.ranked[:1]:
        grafting, why = makeup.grafting(option.record, site, observation)
        number = numbering.of(_germinate(site.seed, option, grafting))
        if number is not None:
            yield _Order(option, grafting, why, number - 1)


def _germinate(seed: SeedId, option: Option, grafting: GraftingStrategy) -> Germinate:
    return Germinate(seed=seed, blueprint_id=option.record.blueprint_id, reads=option.reads, grafting=grafting)


def _vetoes(free: Sequence[SeedId], known: dict[SeedId, Performance], state: RunState) -> dict[SeedId, str]:
    """Free seeds that are not viable, with the rule that says so."""
    settings = state.started.tamiyo_config.bandit
    available = settings.memory_share * state.started.hardware.memory_available_gb * 1000
    found = {}
    for name in sorted(set(free) & (state.seeds.keys() | known.keys())):
        rested = state.epoch - state.seed(name).since
        took = known.get(name, _NOTHING).memory_mb
        if state.seed(name).attempts and rested < settings.min_dormant_epochs:
            found[name] = f"rested {rested} of {settings.min_dormant_epochs} epochs"
        elif took > available:
            found[name] = f"took {took:.3g} MB, more than {available:.3g} MB"
    return found


def _noted(vetoes: dict[SeedId, str]) -> tuple[Considered, ...]:
    noted = [Considered(option=f"seed {name}", score=0.0, note=why) for name, why in vetoes.items()]
    return tuple(noted[:VETOED_MAX])


def _arms(seeds: Sequence[SeedId], known: dict[SeedId, Performance], state: RunState) -> Arms:
    """What is known of each seed. Hardly any has a past, so only those are looked at one by one."""
    count = len(seeds)
    germinations, improvements, setbacks, mean, score = (np.zeros(count) for _ in range(5))
    layers = np.array([seed.layer for seed in seeds])
    in_layer = np.zeros(len(state.started.layout))
    for name, seed in state.seeds.items():
        in_layer[name.layer] += seed.attempts
    if state.seeds or known:
        place = {seed: at for at, seed in enumerate(seeds)}
        for name in state.seeds.keys() & place.keys():
            germinations[place[name]] = state.seeds[name].attempts
        for name in known.keys() & place.keys():
            at, performance = place[name], known[name]
            improvements[at], setbacks[at] = performance.improvements, performance.setbacks
            mean[at], score[at] = performance.mean, performance.score
    return Arms(germinations, in_layer[layers], improvements, setbacks, mean, score)


def _drawn(chances: Numbers, random: Randomness) -> int:
    """A seed by its chance, by one number from the stream; the only one that has any without."""
    possible: NDArray[np.intp] = np.flatnonzero(chances)
    if len(possible) == 1:
        return int(possible[0])
    reached = np.cumsum(chances[possible])
    place = int(np.searchsorted(reached, random.generator(SEED_STREAM).random() * reached[-1], side="right"))
    return int(possible[min(place, len(possible) - 1)])


def _likeliest(
    seeds: Sequence[SeedId], scores: Numbers, chances: Numbers, arms: Arms, known: dict[SeedId, Performance]
) -> Iterator[Considered]:
    for at in np.lexsort((np.arange(len(seeds)), -scores, -chances))[:CONSIDERED_MAX]:
        past = known.get(seeds[at], _NOTHING)
        note = (
            f"chance {chances[at]:.3g}; {arms.germinations[at]:.0f} of {arms.in_layer[at]:.0f} germinations in its layer; "
            f"{past.success_rate:.2f} of {past.improvements + past.setbacks} samples improved, mean {past.mean:.4f}, "
            f"variance {past.variance:.4g}, score {past.score:.4f}"
        )
        yield Considered(option=f"seed {seeds[at]}", score=float(scores[at]), note=note)


def _ordered(
    lots: Sequence[_Lot], at: int, chances: Numbers, reason: SelectionReason, legal: LegalActions, random: Randomness
) -> Decision:
    """The germination of the seed that was drawn, with the odds of all; its blueprint is drawn where they are alike."""
    before = 0
    for lot in lots:
        if at < before + len(lot.seeds):
            break
        before += len(lot.seeds)
    draws = [random.drawn(SEED_STREAM, 1)] if np.count_nonzero(chances) > 1 else []
    order = lot.orders[0]
    if len(lot.orders) > 1:
        order = lot.orders[int(random.generator(BLUEPRINT_STREAM).integers(len(lot.orders)))]
        draws.append(random.drawn(BLUEPRINT_STREAM, 1))
    odds = dict(_odds(lots, chances))
    return Decision(
        command=_germinate(reason.seed, order.option, order.grafting),
        reason=f"{lot.site.reason}: {reason.said}{order.option.said}{order.why}",
        confidence=lot.site.confidence,
        urgency=lot.site.urgency,
        considered=(*reason.alternatives_considered, *lot.options.considered),
        propensity=odds[lot.first[at - before] + order.behind],
        draws=tuple(draws),
        legal=legal,
        odds=tuple(odds.items()),
    )


def _odds(lots: Sequence[_Lot], chances: Numbers) -> Iterator[tuple[int, float]]:
    """The probability of every germination that has one, by number."""
    before = 0
    for lot in lots:
        behind = sorted(order.behind for order in lot.orders)
        for first, chance in zip(lot.first, chances[before : before + len(lot.seeds)].tolist(), strict=True):
            share = min(chance / len(behind), 1.0)
            if share > 0:
                yield from ((first + each, share) for each in behind)
        before += len(lot.seeds)
