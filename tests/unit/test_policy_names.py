from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from domain.tamiyo.as_designed import AsDesigned
from domain.tamiyo.random_growth import RandomGrowth
from domain.tamiyo.softened import Softened
from domain.tamiyo.without import Without
from scenarios import composition
from scenarios.specification import BadInput

OWN = """
from domain.tamiyo.policy import NoMemory, Step


class Mine:
    profile = "full"

    def __init__(self, x: int, keen: bool = False, epsilon: float = 0.5, words: "str | None" = None):
        self.given = (x, keen, epsilon, words)

    def initial(self):
        return NoMemory()

    def step(self, observation, memory, random):
        return Step((), memory)
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    file = tmp_path / "own.py"
    file.write_text(OWN, encoding="utf-8")
    return f"{file}:Mine"


@pytest.mark.parametrize("name", sorted(set(composition.TAMIYO) - {"with", "without"}))
def test_every_policy_goes_by_its_bare_name(name: str) -> None:
    policy, reference = composition.tamiyo(name)

    assert reference.name == name
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert composition.summary(composition.TAMIYO[name])


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("as_designed?", "as_designed"),
        ("as_designed?epsilon=0", "as_designed"),
        ("as_designed?epsilon=-0.0&temperature=0", "as_designed"),
        ("as_designed?temperature=0.10&epsilon=5e-2", "as_designed?epsilon=0.05&temperature=0.1"),
        ("as_designed?strategy=SIZE&patience=07", "as_designed?patience=7&strategy=SIZE"),
        ("random_growth?probability=.05", "random_growth"),
        ("random_growth?probability=3e-2", "random_growth?probability=0.03"),
        ("composed?trigger=plateau&grafting=fixed", "composed?grafting=fixed"),
        ("fixed_schedule?epochs=4-8", "fixed_schedule?epochs=4-8"),
        (
            "without?seed=0.1&epoch=20&of=as_designed%3Ftemperature%3D0%26epsilon%3D.1",
            "without?epoch=20&of=as_designed%3Fepsilon%3D0.1&seed=0.1",
        ),
    ],
)
def test_equal_policies_have_equal_names(given: str, canonical: str) -> None:
    policy, reference = composition.tamiyo(given)

    assert reference.name == canonical
    again, same = composition.tamiyo(canonical)
    assert (again, same) == (policy, reference)


def test_parameters_reach_the_policy() -> None:
    assert composition.tamiyo("random_growth?probability=0.03")[0] == RandomGrowth(probability=0.03)
    assert composition.tamiyo("as_designed?epsilon=0.1&temperature=2&only=x")[0] == Softened(
        AsDesigned(only="x"), epsilon=0.1, temperature=2.0
    )
    nested = "without?seed=0.1&epoch=20&of=as_designed%3Fepsilon%3D0.1"
    assert composition.tamiyo(nested)[0] == Without(Softened(AsDesigned(), epsilon=0.1), "0.1", 20)


def test_a_policy_of_ones_own_takes_the_parameters_of_its_constructor(own: str) -> None:
    policy, reference = composition.tamiyo(f"{own}?x=1&keen=true&epsilon=0.25&words=a%20b")

    assert policy.given == (1, True, 0.25, "a b")  # type: ignore[attr-defined]
    assert reference.name == f"{own}?epsilon=0.25&keen=true&words=a%20b&x=1"
    assert type(composition.tamiyo(f"{own}?x=1&temperature=0.5")[0]) is Softened


def test_a_source_is_known_by_what_wraps_it_too() -> None:
    names = ("as_designed", "as_designed?epsilon=0.1", "without?seed=0.1&epoch=2&of=as_designed")
    digests = [composition.tamiyo(name)[1].source_digest for name in names]

    assert len(set(digests)) == 3
    assert digests[0] == composition.tamiyo("as_designed?patience=3")[1].source_digest


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("as_designed?epsilom=1", "'epsilom' is unknown; did you mean 'epsilon'? there are: patience, strategy, "),
        ("as_designed?epsilon=x", "parameter 'epsilon' must be a finite number but got 'x'"),
        ("as_designed?temperature=inf", "parameter 'temperature' must be a finite number but got 'inf'"),
        ("as_designed?epsilon=2", "cannot be made: epsilon must be between 0 and 1 but is 2.0"),
        ("as_designed?patience=1.5", "parameter 'patience' must be a whole number but got '1.5'"),
        ("as_designed?patience=3&patience=4", "gives parameter 'patience' twice"),
        ("as_designed?patience", "parameters are of the form name=value&name=value"),
        ("as_designed?profile=full", "'profile' is unknown"),
        ("as_designed?strategy=BEST", "strategy must be one of NONE, PERFORMANCE"),
        ("without", "needs of and seed and epoch: without?of=...&seed=...&epoch=..."),
        ("without?seed=0.1&epoch=2&of=as_desinged", "'as_desinged' is unknown; did you mean 'as_designed'?"),
        ("without?seed=x&epoch=2&of=as_designed", "a seed is named LAYER.SEED"),
        ("nobody?x=1", "Tamiyo policy 'nobody' is unknown"),
    ],
)
def test_a_mistake_in_a_name_is_one_line(name: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        composition.tamiyo(name)

    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_truth_is_written_small(own: str) -> None:
    with pytest.raises(BadInput, match="parameter 'keen' must be true or false but got 'True'"):
        composition.tamiyo(f"{own}?x=1&keen=True")


def test_karn_takes_no_softness() -> None:
    with pytest.raises(BadInput, match="takes no 'epsilon'"):
        composition.karn("no_invention?epsilon=0.1")


def test_an_empty_mix_is_refused_when_the_policy_is_named() -> None:
    with pytest.raises(BadInput, match="is not of the form STRATEGY:WEIGHT"):
        composition.tamiyo("as_designed?strategy=HYBRID&hybrid=")


def test_a_policy_that_lacks_a_part_is_told_where_its_kind_is_described(tmp_path: Path) -> None:
    file = tmp_path / "half.py"
    file.write_text("class Half:\n    def step(self, observation, memory, random): ...\n", encoding="utf-8")

    with pytest.raises(BadInput, match=r"has no 'initial'; domain/karn/policy\.py says"):
        composition.karn(f"{file}:Half")
