"""Tasks: equal arguments give equal bits, the parts are alike and apart, and the data are what they are said to be."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from domain.settings import TaskSettings
from engine.randomness import stream
from engine.trainers.data import Part, TaskData
from scenarios.tasks import clusters, mnist1d, spheres, spirals
from scenarios.tasks.catalogue import TASKS

NAMES = sorted(TASKS)


def _load(name: str, key: int = 1, samples: int = 400, noise: float = 0.05) -> TaskData:
    return TASKS[name].load(TaskSettings(name=name, samples=samples, noise=noise), key)


@pytest.mark.parametrize("name", NAMES)
def test_equal_arguments_give_equal_bits_and_another_key_other_data(name: str) -> None:
    one, again, other = _load(name), _load(name), _load(name, key=2)

    assert one.train.inputs.tobytes() == again.train.inputs.tobytes()
    assert one.test.labels.tobytes() == again.test.labels.tobytes()
    assert one.train.inputs.tobytes() != other.train.inputs.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_every_part_has_its_share_of_every_class(name: str) -> None:
    data = _load(name)
    assert (data.features, data.classes) == (TASKS[name].features, TASKS[name].classes)
    parts = [np.bincount(part.labels, minlength=data.classes) for part in (data.train, data.validation, data.test)]
    whole = sum(parts)
    for share, counts in zip((0.5, 0.25, 0.25), parts, strict=True):
        assert np.abs(counts - share * whole).max() <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_no_sample_is_in_two_parts(name: str) -> None:
    data = _load(name)
    rows = [row.tobytes() for part in (data.train, data.validation, data.test) for row in part.inputs]
    assert len(rows) == len(set(rows)) == 400


def test_digits_are_the_1797_real_images() -> None:
    data = _load("digits", samples=2000, noise=0.0)
    inputs = np.concatenate([part.inputs for part in (data.train, data.validation, data.test)])

    assert inputs.shape == (1797, 64)
    assert (inputs.min(), inputs.max()) == (0.0, 1.0)
    assert float(inputs.astype(np.float64).sum() * 16) == 561718.0


def test_spiral_points_lie_on_their_arm_without_noise() -> None:
    part = _load("spirals", noise=0.0).train
    radius = np.hypot(*part.inputs.T.astype(np.float64))
    angle = 2 * np.pi * (spirals.TURNS * radius + part.labels / 2)

    assert_allclose(part.inputs, radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), 1), atol=1e-5)


def test_spheres_keep_the_gap_between_their_shells() -> None:
    part = _load("spheres", noise=0.0).train
    radius = np.linalg.norm(part.inputs.astype(np.float64), axis=1)
    for label, (inner, outer) in enumerate(spheres.RADII):
        own = radius[part.labels == label]
        assert inner - 1e-6 <= own.min()
        assert own.max() <= outer + 1e-6


def test_checkerboard_colours_alternate_and_leave_the_lines_free() -> None:
    part = _load("checkerboard", noise=0.0).train
    place = (part.inputs.astype(np.float64) + 1) * 2
    assert ((np.floor(place).sum(axis=1) % 2) == part.labels).all()
    assert np.abs(place - np.round(place)).min() >= 0.06 - 1e-6


def test_xor4_is_the_parity_of_the_signs() -> None:
    part = _load("xor4", noise=0.0).train
    assert (((part.inputs > 0).sum(axis=1) % 2) == part.labels).all()


def test_cluster_centres_keep_their_distance() -> None:
    found = clusters.centres(stream(3, "task/clusters"))
    apart = np.linalg.norm(found[:, None] - found[None], axis=2)[np.triu_indices(clusters.CLUSTERS, 1)]
    assert apart.min() >= clusters.APART_MIN


def test_mnist1d_templates_begin_on_the_base_line_and_the_training_part_alone_is_standardised() -> None:
    known = mnist1d.templates()
    data = _load("mnist1d", noise=0.0)

    assert known.shape == (10, 12)
    assert_allclose(known[:, 0], 0.0, atol=1e-7)
    assert_allclose((data.train.inputs.mean(), data.train.inputs.std()), (0.0, 1.0), atol=1e-5)
    assert abs(data.test.inputs.mean()) > 1e-4


def test_data_that_do_not_fit_are_refused() -> None:
    inputs, labels = np.zeros((3, 2), np.float32), np.zeros(3, np.int64)
    with pytest.raises(ValueError, match="not finite"):
        Part(inputs=inputs + np.float32(np.nan), labels=labels)
    with pytest.raises(ValueError, match="float64"):
        Part(inputs=inputs.astype(np.float64), labels=labels)
    with pytest.raises(ValueError, match=r"\(2,\)"):
        Part(inputs=inputs, labels=labels[:2])
    part = Part(inputs=inputs, labels=labels + 2)
    with pytest.raises(ValueError, match=r"\[0, 2\)"):
        TaskData(train=part, validation=part, test=part, classes=2)
