"""A sweep gives every job's result once and in order, wherever it runs and whoever dies meanwhile."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.evaluation.on_ray import RayMissing, RayUnreachable
from engine.evaluation.sweep import JobFailed, sweep
from tests.support.sweep_jobs import Draw, drawn, endless, ill_mannered, where

ROOT = Path(__file__).parents[2]
LOOK_S = 0.02
"""How long a parent waits between two looks for what its child wrote."""


def draws(count: int, **of_the_second: object) -> tuple[Draw, ...]:
    """Jobs; the second of them has troubles."""
    return tuple(Draw(name=f"key {key}", run_key=key, **(of_the_second if key == 1 else {})) for key in range(count))


def digest(results: Iterator[tuple[Draw, object]]) -> str:
    lines = [result.model_dump_json() for _, result in results]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def failures(results: list[tuple[Draw, object]]) -> dict[str, JobFailed]:
    return {job.name: result for job, result in results if isinstance(result, JobFailed)}


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be buried does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def until(fact: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for a fact about a process that runs; for one that has ended, it must hold."""
    for _ in range(3000):
        if fact():
            return
        try:
            process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
    assert fact()


def gone(pids: list[int]) -> None:
    """Wait until no such process runs."""
    for _ in range(3000):
        if not any(alive(pid) for pid in pids):
            return
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, timeout=LOOK_S, check=False)
    raise AssertionError(f"{pids} still run")


def test_one_worker_and_two_give_the_same_bytes_in_the_same_order() -> None:
    jobs = draws(7)
    here = list(sweep(jobs, drawn, workers=1))

    assert [job for job, _ in here] == list(jobs)
    assert digest(iter(here)) == digest(sweep(jobs, drawn, workers=2))


def test_one_worker_is_this_process_and_several_are_others_with_one_thread_each() -> None:
    (own,) = {result.pid for _, result in sweep(draws(3), where, workers=1)}
    others = [result for _, result in sweep(draws(3), where, workers=2)]

    assert own == os.getpid()
    assert own not in {result.pid for result in others}
    assert {result.threads for result in others} == {1}


def test_a_job_that_killed_its_worker_runs_again_and_is_given_once(tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    finished: list[str] = []
    jobs = draws(5, marker=str(tried), deaths=2)
    results = list(sweep(jobs, drawn, workers=2, retries=2, progress=lambda job, _: finished.append(job.name)))

    assert digest(iter(results)) == digest(sweep(draws(5), drawn, workers=1))
    assert len(tried.read_text("utf-8")) == 3
    assert sorted(finished) == [job.name for job in jobs]


def test_a_job_that_kills_every_worker_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    results = list(sweep(draws(5, marker=str(tried), deaths=99), drawn, workers=2, retries=1))
    failed = failures(results)

    assert len(results) == 5
    assert list(failed) == ["key 1"]
    assert str(failed["key 1"]) == "key 1: its worker died 2 times, at last with SIGKILL"
    assert failed["key 1"].attempts == len(tried.read_text("utf-8")) == 2


def test_the_death_of_one_worker_begins_nobody_elses_job_again(tmp_path: Path) -> None:
    beside = [Draw(name=f"beside {key}", run_key=key, marker=str(tmp_path / f"beside {key}")) for key in range(6)]
    deadly = Draw(name="deadly", run_key=9, marker=str(tmp_path / "deadly"), deaths=2)
    list(sweep([beside[0], deadly, *beside[1:]], drawn, workers=2))

    assert {len(Path(job.marker).read_text("utf-8")) for job in beside} == {1}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_job_raises_carries_its_name_and_is_not_tried_again(workers: int) -> None:
    failed = failures(list(sweep(draws(3, raises="no such\ntask"), drawn, workers=workers)))["key 1"]

    assert str(failed) == "key 1: LookupError: no such task"
    assert failed.attempts == 1
    assert "in drawn" in failed.trace


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_exits_fails_alone(workers: int) -> None:
    results = list(sweep(draws(2), ill_mannered, workers=workers))

    assert [str(result) for _, result in results] == ["key 0: SystemExit: 7", "key 1: SystemExit: 7"]


def test_two_jobs_of_one_name_no_workers_and_other_places_are_refused_before_any_work() -> None:
    with pytest.raises(ValueError, match="two jobs are called 'key 0'"):
        sweep(draws(1) * 2, drawn)
    with pytest.raises(ValueError, match="needs 1 worker and 0 retries at least but got 0 and 2"):
        sweep(draws(1), drawn, workers=0)
    for place in ("mars", "ray=", "local=2"):
        with pytest.raises(ValueError, match=f"local, ray or ray=ADDRESS but not on '{place}'"):
            sweep(draws(1), drawn, on=place)


def test_a_sweep_of_nothing_is_over_at_once() -> None:
    assert list(sweep((), drawn)) == []


def test_closing_a_sweep_stops_its_workers(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    jobs = (Draw(name="quick", run_key=1), Draw(name="endless", run_key=2, marker=str(begun)))
    results = sweep((*jobs, Draw(name="quick too", run_key=3, marker=str(tmp_path / "never"))), endless, workers=2)
    job, _ = next(results)
    results.close()

    assert job.name == "quick"
    gone([int(begun.read_text("utf-8"))] if begun.exists() else [])


SCRIPT = """
import sys
from tests.support.sweep_jobs import Draw, endless
from engine.evaluation.sweep import sweep

if __name__ == "__main__":
    jobs = [Draw(name="endless", run_key=1, marker=sys.argv[1]), Draw(name="quick", run_key=2)]
    jobs.append(Draw(name="endless too", run_key=3, marker=sys.argv[1] + " too"))
    try:
        for job, result in sweep(jobs, endless, workers=2):
            print("given", job.name, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def swept_until_two_are_at_work(folder: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A sweep in a process of its own, and its two workers, each over a job without end."""
    script = folder / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    marks = [folder / "pid", folder / "pid too"]
    process = subprocess.Popen(
        [sys.executable, str(script), str(marks[0])],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: all(mark.exists() and mark.read_text("utf-8") for mark in marks), process)
    return process, [int(mark.read_text("utf-8")) for mark in marks]


def test_an_interrupt_gives_what_is_finished_and_leaves_no_process(tmp_path: Path) -> None:
    process, workers = swept_until_two_are_at_work(tmp_path)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: parent and workers alike
    out, err = process.communicate(timeout=20)

    assert (out.splitlines(), err) == (["given quick", "interrupted"], "")
    assert process.returncode == 0
    gone(workers)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    process, workers = swept_until_two_are_at_work(tmp_path)
    process.kill()
    process.communicate(timeout=20)

    gone(workers)


def test_ray_gives_the_same_bytes_and_survives_the_same_deaths(tmp_path: Path) -> None:
    jobs = (
        *draws(4, marker=str(tmp_path / "dies once"), deaths=1),
        Draw(name="raises", run_key=5, raises="no such task"),
        Draw(name="deadly", run_key=6, marker=str(tmp_path / "deadly"), deaths=99),
    )
    results = list(sweep(jobs, drawn, on="ray", workers=2, retries=1))

    assert [job for job, _ in results] == list(jobs)
    assert digest(iter(results[:4])) == digest(sweep(draws(4), drawn, workers=1))
    assert {name: str(failed) for name, failed in failures(results).items()} == {
        "raises": "raises: LookupError: no such task",
        "deadly": "deadly: its worker died 2 times",
    }
    assert len((tmp_path / "deadly").read_text("utf-8")) == 2


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(RayMissing, match=r"^ray is not installed: pip install 'regrow\[ray\]'"):
        sweep(draws(1), drawn, on="ray")


def test_an_address_where_no_ray_answers_is_one_line_and_not_minutes() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listening, so that connections are refused
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RayUnreachable, match=rf"^no Ray answers at {address} \(.*refused\); start one there"):
            next(sweep(draws(1), drawn, on=f"ray={address}"))
