"""How often an attribution says what is true of a planted germination that is worth nothing, and of an essential one.

Simulated continuations, whose truth is known: the blueprint ``no_op`` has no effect at all on a host that learns nothing
by itself, ``residual_mlp`` closes most of the headroom. *Shared keys* as in ``regrow attribute``; with *keys of their own*
no noise of a pair cancels, and the interval alone has to hold. Then the whole of ``regrow attribute`` over live training:
there ``no_op`` has no effect either as long as its trial does not hold the host still.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from measuring import figure, say

sys.path.append(str(Path(__file__).parents[1]))
TRIALS: Final = 300
LIVE_TRIALS: Final = 5
LIVE_PAIRS: Final = 4
LEAST: Final = 0.93
WANTED: Final = {"no_op": "covers 0", "residual_mlp": "excludes 0"}
LIVE: Final = {"training.epochs": 60, "training.freeze_host_on_trial": False}


def main() -> None:
    """Print the figures."""
    simulated()
    live()


def simulated() -> None:
    """Many trials of known truth."""
    from support.attributed_runs import PAIRS, planted_trial

    say(f"attributing: {TRIALS} simulated runs, {PAIRS} pairs of continuations each, intervals of 95 %")
    for name, wanted in WANTED.items():
        for shared in (True, False):
            found = [planted_trial(name, run_key, shared=shared)[0] for run_key in range(TRIALS)]
            keys = "shared keys" if shared else "keys of their own"
            tell(f"{name}, {keys}", wanted, [each.shown for each in found], [each.high - each.low for each in found])


def live() -> None:
    """A few trials of the whole command."""
    from support.attributed_runs import arms

    from scenarios import specification
    from scenarios.lab import Lab

    say(f"attributing: {LIVE_TRIALS} live runs of xor4, {LIVE_PAIRS} pairs of continuations each")
    with tempfile.TemporaryDirectory() as folder, Lab(f"sqlite:///{folder}/journal.db") as lab:
        for name, wanted in WANTED.items():
            grown = arms(name)[0]
            order = f"blueprint={grown.blueprint}&epoch=20&grafting={grown.grafting}&reads={grown.reads}&seed=0.0"
            found = []
            for key in range(LIVE_TRIALS):
                run = lab.run(
                    specification.load("xor4", LIVE), tamiyo=f"with?of=fixed_schedule%3Fepochs%3D999&{order}", key=key
                )
                told = lab.attribute(run.run, "0.0", continuations=LIVE_PAIRS, never=True, workers=1)
                found.append(told.final_accuracy)
            tell(f"{name}, live", wanted, [each.shown for each in found], [each.high - each.low for each in found])
            gained = ", ".join(f"{each.mean:+.3f} [{each.low:+.3f}, {each.high:+.3f}]" for each in found)
            say(f"    worth: {gained}")


def tell(what: str, wanted: str, shown: list[bool], widths: list[float]) -> None:
    """One line: how often the interval says what is true."""
    right = sum(each == (wanted == "excludes 0") for each in shown) / len(shown)
    width = sum(widths) / len(widths)
    figure(f"  {what}: {wanted}, mean width {width:.4f}", f"{right:.1%}", "93-100 %", met=right >= LEAST)


if __name__ == "__main__":
    main()
