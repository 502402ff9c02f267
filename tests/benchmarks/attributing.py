"""How often an attribution says what is true of a planted germination that is worth nothing, and of an essential one.

Simulated continuations, whose truth is known: the blueprint ``no_op`` has no effect at all on a host that learns nothing
by itself, ``residual_mlp`` closes most of the headroom. *Shared keys* as in ``regrow attribute``; with *keys of their own*
no noise of a pair cancels, and the interval alone has to hold.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from measuring import figure, say

sys.path.append(str(Path(__file__).parents[1]))
TRIALS: Final = 300
LEAST: Final = 0.93


def main() -> None:
    """Print the figures."""
    from support.attributed_runs import PAIRS, planted_trial

    say(f"attributing: {TRIALS} simulated runs, {PAIRS} pairs of continuations each, intervals of 95 %")
    for name, wanted in (("no_op", "covers 0"), ("residual_mlp", "excludes 0")):
        for shared in (True, False):
            found = [planted_trial(name, run_key, shared=shared)[0] for run_key in range(TRIALS)]
            right = sum(each.shown == (wanted == "excludes 0") for each in found) / TRIALS
            width = sum(each.high - each.low for each in found) / TRIALS
            keys = "shared keys" if shared else "keys of their own"
            figure(
                f"  {name}, {keys}: {wanted}, mean width {width:.4f}", f"{right:.1%}", "93-100 %", met=right >= LEAST
            )
