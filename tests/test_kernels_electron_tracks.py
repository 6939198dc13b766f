"""Tracks of electrons: what they keep, what they repeat, how far they come."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels import electron_tracks
from igdd.kernels.electron_tracks import radial
from igdd.kernels.stopping import range_of
from igdd.kernels.voxel_kernel import radius_within


def some(energy: float, count: int = 3000, seed: int = 1):
    return radial(np.full(count, energy), np.full(count, 1 / count), seed)


@pytest.mark.parametrize("energy", [0.012, 0.05, 0.3, 2.0, 9.0])
def test_all_energy_is_left_somewhere(energy):
    found = some(energy, 300)
    assert found.energy.sum() == pytest.approx(energy, rel=1e-12)
    assert (found.energy >= 0).all()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    one, same, other = some(0.5, seed=7), some(0.5, seed=7), some(0.5, seed=8)
    assert one.energy.tobytes() == same.energy.tobytes()
    assert one.energy.tobytes() != other.energy.tobytes()


def test_each_history_has_random_numbers_of_its_own():
    """Two halves of a run are the run, whatever their order and size."""
    energy = np.linspace(0.1, 1.0, 400)
    whole = radial(energy, np.ones(400), seed=3)
    again = radial(energy[:200], np.ones(200), seed=3)
    assert whole.energy.sum() == pytest.approx(energy.sum(), rel=1e-12)
    assert again.energy.sum() == pytest.approx(energy[:200].sum(), rel=1e-12)


def test_an_electron_below_the_limit_stays_where_it_starts():
    found = radial(np.array([0.005]), np.array([2.0]), seed=1)
    assert found.radius.tolist() == [0.0]
    assert found.energy.tolist() == [0.01]


@pytest.mark.parametrize("energy", [0.1, 0.5, 1.0, 2.0])
def test_nine_tenths_stay_within_four_fifths_of_the_range(energy):
    """Point kernels in water have x90 of 0.75 to 0.82 ranges (ICRU Report 56, 1997, chapter 4)."""
    share = radius_within(some(energy), 0.9) / float(range_of(np.array([energy]))[0])
    assert 0.75 < share < 0.82


def test_angles_have_the_moments_that_are_asked_for():
    state = np.array([5], np.uint64)
    for one, two in ((0.05, 0.14), (0.2, 0.5), (1.5, 3.0)):
        cosines = np.array([electron_tracks._cosine(one, two, state) for _ in range(40000)])
        # Standard errors of the means are below 0.005 for 40,000 angles: three of them.
        assert cosines.mean() == pytest.approx(np.exp(-one), abs=0.012)
        assert ((3 * cosines**2 - 1) / 2).mean() == pytest.approx(np.exp(-two), abs=0.015)


def test_a_turned_direction_keeps_its_length_and_its_angle():
    rng = np.random.default_rng(1)
    for start in (*rng.normal(size=(50, 3)), np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, -1.0])):
        way = start / np.linalg.norm(start)
        before, cosine = way.copy(), rng.uniform(-1, 1)
        electron_tracks._turn(way, cosine, rng.uniform(0, 2 * np.pi))
        assert np.linalg.norm(way) == pytest.approx(1.0, abs=1e-12)
        assert before @ way == pytest.approx(cosine, abs=1e-9)


@pytest.mark.parametrize("energy", [0.0, -1.0, 11.0, float("nan")])
def test_an_energy_beyond_the_tables_is_refused(energy):
    with pytest.raises(InputError, match="MeV"):
        radial(np.array([energy]), np.ones(1), seed=1)
