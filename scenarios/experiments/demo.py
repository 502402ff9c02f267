"""The main job from end to end, each step a command in a process of its own: ``make demo``."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SCENARIO = "digits"
KEY = "1"


def main() -> None:
    """Record, look, prove, compare. Exits with the first command that fails."""
    _say(f"1. Record {SCENARIO} under as_designed: a live network that grows while it trains.")
    grown = _ask("run", SCENARIO, "--key", KEY)
    _say("2. Rebuild it from its events: every decision with its reason, every stage of every seed.")
    _run("show", grown["run"])
    _say("3. Prove it: train it again in a new process and compare every event, floats to the last bit.")
    _run("verify", grown["run"], "--retrain")
    _say("4. The same run key under never_grow: what the same network does when it may not grow.")
    static = _ask("run", SCENARIO, "--key", KEY, "--tamiyo", "never_grow")
    before = grown["metrics"]["test_accuracy_before_growth"]
    _say("5. Accuracy on the test set, which no policy sees.")
    _line(f"   before growth   {before:.3f}" if before is not None else "   nothing germinated")
    _line(f"   as_designed     {grown['metrics']['test_accuracy']:.3f}  {grown['metrics']['parameters']} parameters")
    _line(f"   never_grow      {static['metrics']['test_accuracy']:.3f}  {static['metrics']['parameters']} parameters")
    _line(f"\nBoth runs are in .regrow/journal.db; try: regrow show {grown['run']} --at 60")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "scenarios.cli", *arguments]


def _run(*arguments: str) -> None:
    _line(f"$ regrow {' '.join(arguments)}")
    done = subprocess.run(_command(*arguments), check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


def _ask(*arguments: str) -> Any:
    """Run a command with --json, its progress shown, and read the one document that it prints."""
    _line(f"$ regrow {' '.join(arguments)}")
    done = subprocess.run(_command(*arguments, "--json"), check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(done.returncode)
    answer = json.loads(done.stdout)
    _line(f"run {answer['run']}: {answer['ending']}, {answer['epochs']} epochs, digest {answer['digest']}")
    return answer


def _say(text: str) -> None:
    _line(f"\n{text}\n")


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
