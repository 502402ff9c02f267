"""Urza's and Tamiyo's endpoints over a journal, as a client on this machine sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from socket import socket

import pytest
from fastapi.testclient import TestClient

from domain.events import GrowthPaused, GrowthResumed, SeedGerminated
from domain.health import METRICS
from engine.session import EpochView
from scenarios.http.app import application
from scenarios.lab import Lab
from scenarios.runs.orders import GrowthOrder, give
from tests.support.commands import Shell

TOKEN = "a token for tests"
STEER = {"Authorization": f"Bearer {TOKEN}"}
GROWS_SOON = {"training.epochs": 40, "tamiyo_config.plateau_patience": 4}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(f"sqlite:///{tmp_path_factory.mktemp('http')}/journal.db") as opened:
        opened.run("xor4", key=1, overrides=GROWS_SOON)
        yield opened


@pytest.fixture(scope="module")
def client(lab: Lab) -> Iterator[TestClient]:
    with TestClient(application(lab.journal, TOKEN), base_url="http://127.0.0.1") as opened:
        yield opened


def test_the_newest_run_says_how_it_stands(client: TestClient, lab: Lab) -> None:
    said = client.get("/api/v1/system/status").json()

    result = lab.results()[-1]
    assert (said["run"], said["digest"]) == (result.run, result.digest)
    assert (said["status"], said["current_epoch"], said["ending"]) == ("ENDED", 40, "COMPLETED")
    assert 0 < said["validation_accuracy"] <= 1


def test_the_health_map_names_every_seed(client: TestClient) -> None:
    said = client.get("/api/v1/system/health_map").json()

    assert set(said["seeds"]) == {"0.0", "0.1"}
    assert {"state", "blueprint_id", "metrics"} == set(said["seeds"]["0.0"])
    assert list(said["seeds"]["0.0"]["metrics"]) == list(METRICS)
    assert said["seeds"]["0.0"]["metrics"]["chunk_variance"] >= 0


def test_blueprints_are_found_by_filters_that_all_have_to_hold(client: TestClient, lab: Lab) -> None:
    every = client.get("/api/v1/blueprints").json()["blueprints"]
    high = client.get("/api/v1/blueprints", params={"conf_level": "HIGH", "hardware_profile": "CPU"}).json()[
        "blueprints"
    ]
    none = client.get("/api/v1/blueprints", params={"max_latency_ms": 0, "max_memory_gb": 0}).json()["blueprints"]
    best = client.get("/api/v1/blueprints", params={"filter": "best_performers", "limit": 3}).json()["blueprints"]

    assert len(every) == 13
    assert {entry["metadata"]["urabrask"]["conf_level"] for entry in high} == {"HIGH"} and len(high) < 13
    assert none == []
    gains = [entry["metadata"]["statistics"]["mean_gain"] for entry in best]
    assert len(best) == 3 and gains == sorted(gains, reverse=True)


def test_ids_map_to_integers_and_back_to_a_lineage(client: TestClient) -> None:
    mapped = client.get("/api/v1/id_map").json()["id_map"]
    first = next(name for name, number in mapped.items() if number == 1)

    lineage = client.get(f"/api/v1/blueprints/{first}/lineage").json()

    assert sorted(mapped.values()) == list(range(1, 14))
    assert (lineage["blueprint_id"], lineage["lineage"]) == (first, []) and len(lineage["provenance_head"]) == 64


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/api/v1/blueprints?conf_level=SURE", "conf_level"),
        ("/api/v1/blueprints?max_latency_ms=-1", "greater than or equal to 0"),
        ("/api/v1/blueprints?limit=many", "limit"),
        ("/api/v1/blueprints?colour=red", "colour"),
    ],
)
def test_a_bad_filter_gets_400_and_the_rule(client: TestClient, path: str, rule: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 400
    assert rule in answer.json()["detail"] and "\n" not in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/api/v1/system/status?run=nobody", "/api/v1/blueprints/0000/lineage", "/api/v1/blueprints/0000"]
)
def test_what_is_not_there_gets_404(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_request_for_another_host_is_turned_away(lab: Lab) -> None:
    with TestClient(application(lab.journal, TOKEN), base_url="http://regrow.example") as elsewhere:
        assert elsewhere.get("/api/v1/system/status").status_code == 400


def test_a_body_that_is_no_json_gets_400_and_the_place(client: TestClient) -> None:
    answer = client.post(
        "/api/v1/control/pause", content=b'{"by": }', headers={**STEER, "Content-Type": "application/json"}
    )

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("body: no JSON at character 7")


def test_a_port_that_is_taken_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = Shell(tmp_path).regrow("serve", "--port", str(port))

    assert refused.code == 2
    assert refused.complaint.startswith(f"--port {port}: ")


def test_steering_needs_the_token(client: TestClient) -> None:
    body = {"by": "someone"}

    assert client.post("/api/v1/control/pause", json=body).status_code == 401
    wrong = client.post("/api/v1/control/pause", json=body, headers={"Authorization": "Bearer guess"})
    assert wrong.status_code == 403


@pytest.mark.parametrize("content", [b"", b"not json", b'{"by": }', b"[1]", b'{"colour": "red"}', b"\xff"])
@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_who_may_not_steer_is_not_told_what_is_wrong_with_the_order(
    client: TestClient, content: bytes, verb: str
) -> None:
    typed = {"Content-Type": "application/json"}
    path = f"/api/v1/control/{verb}?run=nobody"

    assert client.post(path, content=content, headers=typed).status_code == 401
    wrong = client.post(path, content=content, headers={**typed, "Authorization": "Bearer guess"})
    assert wrong.status_code == 403


def test_a_run_that_ended_can_be_steered_no_more(client: TestClient) -> None:
    answer = client.post("/api/v1/control/pause", json={}, headers=STEER)

    assert answer.status_code == 409
    assert "ended COMPLETED" in answer.json()["detail"]


def test_the_endpoints_describe_themselves(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]

    assert paths["/api/v1/control/pause"]["post"]["security"] == [{"HTTPBearer": []}]
    assert {"/api/v1/blueprints", "/api/v1/id_map", "/api/v1/system/status", "/api/v1/control/pause"} <= set(paths)


def test_a_run_paused_over_http_grows_nothing_until_it_is_resumed_and_replays(lab: Lab) -> None:
    statuses: dict[int, str] = {}

    with TestClient(application(lab.journal, TOKEN), base_url="http://127.0.0.1") as client:

        def steer(view: EpochView) -> None:
            epoch = view.state.epoch
            if epoch in (3, 25):
                verb = "pause" if epoch == 3 else "resume"
                answer = client.post(
                    f"/api/v1/control/{verb}", json={"by": "a test", "reason": "to see"}, headers=STEER
                )
                assert answer.status_code == 202
            if epoch in (3, 4, 25, 26):
                statuses[epoch] = client.get("/api/v1/system/status").json()["status"]

        result = lab.run("xor4", key=1, overrides=GROWS_SOON, watch=steer)

    events = list(lab.journal.events(result.run))
    assert statuses == {3: "PAUSING", 4: "PAUSED", 25: "RESUMING", 26: "RUNNING"}
    assert [event.epoch for event in events if isinstance(event, GrowthPaused | GrowthResumed)] == [4, 26]
    germinated = [event.epoch for event in events if isinstance(event, SeedGerminated)]
    assert all(epoch >= 26 for epoch in germinated)
    assert lab.verify(result.run, retrain=True).rung == 4


def test_an_order_left_for_a_run_that_stopped_is_obeyed_when_it_goes_on(lab: Lab) -> None:
    class _Crash(Exception):
        pass

    def crash(view: EpochView) -> None:
        if view.state.epoch == 8:
            raise _Crash

    with pytest.raises(_Crash):
        lab.run("xor4", key=2, overrides=GROWS_SOON, watch=crash)
    run = lab.journal.runs()[-1]
    give(lab.journal, run, GrowthOrder(paused=True, by="a test"))

    lab.resume(run)

    assert [event.epoch for event in lab.journal.events(run) if isinstance(event, GrowthPaused)] == [9]
    assert lab.verify(run, retrain=True).rung == 4
