"""The five-state model against the exponential of its matrix and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import expm

from igdd.errors import InputError
from igdd.kernels.elasticity import elasticities
from igdd.kernels.five_state import RATES, WAYS, courses, ever_inside, one_way_efficiency

TIMES = np.array([1.0, 4.0, 24.0, 168.0, 672.0])


def rates(**named):
    return np.array([[named.get(name, 0.0) for name in RATES]])


def test_amounts_equal_the_matrix_exponential():
    drawn = 10 ** np.random.default_rng(0).uniform(-3, 1, (6, len(RATES)))
    found = courses(drawn, TIMES, dose=160.3)
    for row, values in enumerate(drawn):
        matrix = np.zeros((5, 5))
        for rate, (source, target) in zip(values, WAYS.values(), strict=True):
            matrix[target, source] += rate
            matrix[source, source] -= rate
        for column, time in enumerate(TIMES):
            # squaring up to 16 times loses up to 5 digits of 16
            assert_allclose(found[row, column], 160.3 * expm(matrix * time)[:, 0], atol=1e-9)
    assert_allclose(found.sum(axis=2), 160.3, rtol=1e-11)


def test_one_way_efficiency_is_the_product_of_shares_and_what_ends_inside():
    way = rates(kAC=0.2, kAO=0.5, kAX=0.1, kin=0.3, kCO=0.9, kOX=0.4)
    expected = 0.2 / 0.8 * 0.3 / 1.2
    assert_allclose(one_way_efficiency(way), expected, rtol=1e-14)
    assert_allclose(ever_inside(way), expected, rtol=1e-14)
    assert_allclose(courses(way, np.array([500.0]))[0, 0, 2], expected, rtol=1e-10)


def test_a_way_back_gives_further_chances():
    """A <-> C -> I, C -> O: p = s / (1 - b) with s the share inwards, b the share back to A."""
    way = rates(kAC=1.0, kCA=0.5, kin=0.3, kCO=0.2)
    assert_allclose(ever_inside(way), 0.3 / (1 - 0.5), rtol=1e-14)
    with pytest.raises(InputError, match="kCA is not 0"):
        one_way_efficiency(way)


def test_what_leaves_the_cells_again_has_still_been_inside():
    way = rates(kAC=1.0, kin=0.3, kCO=0.3, kout=10.0)
    assert_allclose(ever_inside(way), 0.5, rtol=1e-14)


def test_elasticities_of_the_one_way_efficiency_have_a_closed_form():
    """d ln e / d ln kAC = 1 - kAC / sum; of a way out, minus its share; of what comes after, 0."""
    way = rates(kAC=0.2, kAO=0.5, kAX=0.1, kin=0.3, kCO=0.9, kOX=0.4)[0]
    found = elasticities(lambda points: one_way_efficiency(points)[:, None], way).value[:, 0]
    named = dict(zip(RATES, found, strict=True))
    expected = {"kAC": 0.75, "kAO": -0.625, "kAX": -0.125, "kin": 0.75, "kCO": -0.75, "kOX": 0.0}
    for name, value in expected.items():
        assert_allclose(named[name], value, atol=1e-7)  # Richardson's remainder


def test_a_place_without_exit_and_a_circle_without_end():
    assert_allclose(ever_inside(rates(kAO=1.0)), 0.0)
    with pytest.raises(InputError, match="circle"):
        ever_inside(rates(kAO=1.0, kOA=1.0))


@pytest.mark.parametrize(
    ("bad", "times"),
    [
        (np.full((1, 10), -1.0), [1.0]),
        (np.full((1, 10), np.nan), [1.0]),
        (np.ones((1, 9)), [1.0]),
        (np.ones((1, 10)), [2.0, 1.0]),
        (np.ones((1, 10)), [-1.0]),
        (np.ones((1, 10)), [np.inf]),
    ],
)
def test_impossible_rates_and_times_are_refused(bad, times):
    with pytest.raises(InputError):
        courses(bad, np.array(times))


def test_rates_beyond_all_digits_are_refused():
    for huge in (1e12, 1e300):
        with pytest.raises(InputError, match="unit off"):
            courses(np.full((1, 10), huge), TIMES)


def test_nowhere_to_go_has_no_efficiency():
    with pytest.raises(InputError, match="nothing leaves"):
        one_way_efficiency(rates(kAC=1.0))
