"""Tamiyo's endpoints: how the system stands, how healthy it is, pause and resume. Source: high-level design F.3."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from domain.identifiers import SeedId
from scenarios.http.access import BEARER, OperatorsRoute, system_of
from scenarios.http.system import Standing, System
from scenarios.runs.orders import GrowthOrder

router = APIRouter(prefix="/api/v1", tags=["Tamiyo"])
control = APIRouter(
    prefix="/api/v1/control",
    tags=["Tamiyo"],
    route_class=OperatorsRoute,
    dependencies=[Depends(BEARER)],  # asks nothing: it puts the token into the description
)
Run = Annotated[str | None, Query(description="A run's id; the newest run where none is given.")]


class SystemStatus(BaseModel):
    """How a run stands."""

    run: str
    status: Literal["RUNNING", "PAUSING", "PAUSED", "RESUMING", "ENDED"]
    current_epoch: int
    validation_accuracy: float | None
    active_adaptations: int
    active_seed_id: str | None
    ending: str | None
    digest: str


class SeedHealth(BaseModel):
    """What is known of one seed."""

    state: str
    blueprint_id: str | None
    metrics: dict[str, float | None]


class HealthMap(BaseModel):
    """Every seed of a run by its coordinates."""

    run: str
    epoch: int
    seeds: dict[str, SeedHealth]


class Steering(BaseModel):
    """Who pauses or resumes, and why."""

    model_config = ConfigDict(extra="forbid")
    by: str = Field(default="operator", min_length=1, max_length=64)
    reason: str = Field(default="", max_length=400)


class Accepted(BaseModel):
    """An order that was left for a run; it obeys at its next boundary."""

    run: str
    status: Literal["PAUSING", "RESUMING"]


@router.get("/runs")
def runs(system: Annotated[System, Depends(system_of)]) -> list[str]:
    """Every recorded run, oldest first."""
    return system.runs()


@router.get("/system/status")
def status(system: Annotated[System, Depends(system_of)], run: Run = None) -> SystemStatus:
    """Epoch, accuracy, what is being adapted, and whether growth is paused."""
    standing = system.standing(run)
    state = standing.state
    return SystemStatus(
        run=standing.run,
        status=_status(system, standing),
        current_epoch=state.epoch,
        validation_accuracy=_number(state.recent[-1].validation_accuracy) if state.recent else None,
        active_adaptations=len(state.active),
        active_seed_id=str(state.active[0]) if state.active else None,
        ending=state.ending.value if state.ending else None,
        digest=standing.head.digest,
    )


@router.get("/system/health_map")
def health_map(system: Annotated[System, Depends(system_of)], run: Run = None) -> HealthMap:
    """What each seed reported last, and its stage. A metric that is not a number is null."""
    standing = system.standing(run)
    seeds: dict[str, SeedHealth] = {}
    for report in system.reports(standing):
        for index, metrics in report.health_metrics_by_seed.items():
            name = SeedId(layer=report.layer, index=index)
            seed = standing.state.seed(name)
            seeds[str(name)] = SeedHealth(
                state=seed.stage.value,
                blueprint_id=seed.adaptation.blueprint_id if seed.adaptation else None,
                metrics={metric: _number(value) for metric, value in metrics.items()},
            )
    return HealthMap(run=standing.run, epoch=standing.state.epoch, seeds=seeds)


@control.post("/pause", status_code=202)
def pause(steering: Steering, system: Annotated[System, Depends(system_of)], run: Run = None) -> Accepted:
    """No new adaptation from the next boundary on; what has begun goes on."""
    return _steer(system, run, steering, paused=True)


@control.post("/resume", status_code=202)
def resume(steering: Steering, system: Annotated[System, Depends(system_of)], run: Run = None) -> Accepted:
    """Growth goes on from the next boundary."""
    return _steer(system, run, steering, paused=False)


def _steer(system: System, run: str | None, steering: Steering, *, paused: bool) -> Accepted:
    standing = system.standing(run)
    system.give(standing, GrowthOrder(paused=paused, by=steering.by, reason=steering.reason))
    return Accepted(run=standing.run, status="PAUSING" if paused else "RESUMING")


def _status(system: System, standing: Standing) -> Literal["RUNNING", "PAUSING", "PAUSED", "RESUMING", "ENDED"]:
    if standing.state.ending is not None:
        return "ENDED"
    order = system.order(standing)
    if order is None or order.paused == standing.state.paused:
        return "PAUSED" if standing.state.paused else "RUNNING"
    return "PAUSING" if order.paused else "RESUMING"


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
