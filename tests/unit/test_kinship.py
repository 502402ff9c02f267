"""Means of kin, against the linear system that they solve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.tamiyo.kinship import Known, kin_means


@st.composite
def families(draw: st.DrawFn) -> list[Known]:
    """Trees of some members: those without a parent know something, the others perhaps."""
    members: list[Known] = []
    for at in range(draw(st.integers(1, 12))):
        parent = draw(st.none() | st.integers(0, at - 1)) if at else None
        uses = draw(st.integers(0 if parent is not None else 1, 20))
        total = uses * draw(st.floats(-1, 1))
        members.append(Known(uses, total, parent, draw(st.floats(-0.5, 0.5)) if parent is not None else 0.0))
    return members


def solved(members: list[Known], kin_uses: float) -> list[float]:
    """Where sum of uses (mean - own)^2 + kin_uses (own - parent's - step)^2 is least: its gradient set to 0."""
    matrix, right = np.zeros((len(members), len(members))), np.zeros(len(members))
    for at, each in enumerate(members):
        matrix[at, at] += each.uses
        right[at] += each.total
        if each.parent is not None:
            pair = [each.parent, at]
            matrix[np.ix_(pair, pair)] += kin_uses * np.array([[1.0, -1.0], [-1.0, 1.0]])
            right[pair] += kin_uses * each.step * np.array([-1.0, 1.0])
    return [float(value) for value in np.linalg.solve(matrix, right)]


@given(families(), st.floats(0.5, 50))
def test_messages_to_the_parents_and_back_find_the_posterior_means(members: list[Known], kin_uses: float) -> None:
    assert kin_means(members, kin_uses) == pytest.approx(solved(members, kin_uses), abs=1e-9)


def test_what_befalls_one_child_is_expected_of_its_siblings_too_but_less() -> None:
    parent = Known(4, 2.0)
    alone = kin_means([parent, Known(0, 0.0, 0), Known(0, 0.0, 0)], 10)
    parents, failed, sibling = kin_means([parent, Known(5, 0.0, 0), Known(0, 0.0, 0)], 10)

    assert alone == [0.5, 0.5, 0.5]
    assert failed < sibling < 0.5
    assert sibling == pytest.approx(parents)


def test_generations_without_end_are_no_matter() -> None:
    line = [Known(2, 1.0), *(Known(0, 0.0, at) for at in range(20_000))]

    assert kin_means(line, 10)[-1] == pytest.approx(0.5)
