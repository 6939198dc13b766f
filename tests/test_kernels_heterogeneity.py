"""Heterogeneity: lesions whose unevenness is known on paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from igdd.errors import InputError
from igdd.kernels import heterogeneity as kernel

# A tenth of the volume at 1, the rest at 5.
TWO = np.array([1.0] * 10 + [5.0] * 90)
# Concentrations from 0 to 1, evenly: the middles of 10,000 slices.
SLOPE = (np.arange(10_000) + 0.5) / 10_000
EVERY = (
    kernel.coefficient_of_variation,
    kernel.robust_coefficient_of_variation,
    kernel.quartile_dispersion,
    kernel.gini,
)


def ones(values):
    return np.ones(values.size)


def test_quantiles_of_a_lesion_of_two_levels():
    found = kernel.quantiles(TWO, ones(TWO), np.array([0.05, 0.1, 0.5]))
    assert found.tolist() == [1.0, 3.0, 5.0]  # the step itself lies at a tenth


def test_quantiles_of_a_gradient():
    found = kernel.quantiles(SLOPE, ones(SLOPE), np.array([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(found, [0.1, 0.5, 0.9], atol=1e-12)


def test_variation_of_known_lesions():
    # two levels: mean 4.6, variance 0.1 * 0.9 * 16; gradient: 1 / sqrt(12) over 1 / 2
    assert kernel.coefficient_of_variation(TWO, ones(TWO)) == pytest.approx(1.2 / 4.6)
    assert kernel.coefficient_of_variation(SLOPE, ones(SLOPE)) == pytest.approx(
        1 / np.sqrt(3),
        rel=1e-8,  # slices
    )


def test_robust_spread_of_known_lesions():
    assert kernel.robust_coefficient_of_variation(TWO, ones(TWO)) == 0.0
    # gradient: the median deviation is 1 / 4, the median 1 / 2
    assert kernel.robust_coefficient_of_variation(SLOPE, ones(SLOPE)) == pytest.approx(
        kernel.NORMAL_MAD / 2
    )
    assert kernel.quartile_dispersion(SLOPE, ones(SLOPE)) == pytest.approx(0.5)


def test_a_normal_spread_has_the_same_robust_and_plain_variation():
    from scipy.special import ndtri

    values = 10 + ndtri((np.arange(100_000) + 0.5) / 100_000)
    assert kernel.robust_coefficient_of_variation(values, ones(values)) == pytest.approx(
        0.1,
        rel=1e-6,  # slices
    )


def test_gini_of_known_lesions():
    # two levels p at a, q at b: p q (b - a) / mean; gradient from 0: 1 / 3
    assert kernel.gini(TWO, ones(TWO)) == pytest.approx(0.1 * 0.9 * 4 / 4.6)
    assert kernel.gini(SLOPE, ones(SLOPE)) == pytest.approx(1 / 3, rel=1e-7)
    assert kernel.gini(np.full(7, 3.0), np.ones(7)) == pytest.approx(0, abs=1e-15)


def test_the_lorenz_curve_of_a_gradient_is_a_parabola():
    volume, amount = kernel.lorenz(SLOPE, ones(SLOPE))
    np.testing.assert_allclose(amount, volume**2, atol=1e-12)


def test_values_below_zero_stay_in_gini():
    # mean 1; mean difference of -1 and 3 over all pairs is 2
    assert kernel.gini(np.array([-1.0, 3.0]), np.ones(2)) == pytest.approx(1.0)


def test_entropy_of_a_checkerboard_is_one_bit():
    board = np.indices((4, 4, 4)).sum(axis=0).ravel() % 2 * 10.0
    assert kernel.entropy(board, ones(board), 1.0) == 1.0
    assert kernel.entropy(board, ones(board), 100.0) == 0.0
    assert kernel.entropy(SLOPE, ones(SLOPE), 1 / 8) == pytest.approx(3.0)


def test_too_many_bins_are_refused_and_many_cost_nothing():
    with pytest.raises(InputError, match="expected at most 1e"):
        kernel.entropy(np.array([0.0, 1.0]), np.ones(2), 1e-12)
    assert kernel.entropy(np.array([0.0, 1.0]), np.ones(2), 1.1e-9) == 1.0
    with pytest.raises(InputError, match="expected > 0"):
        kernel.entropy(np.array([0.0, 1.0]), np.ones(2), 0.0)


def test_the_hot_tail_is_the_hottest_tenth():
    assert kernel.hot_tail_mean(SLOPE, ones(SLOPE)) == pytest.approx(0.95)
    hot = np.array([1.0] * 95 + [11.0] * 5)
    assert kernel.hot_tail_mean(hot, ones(hot)) == pytest.approx(6.0)


def test_equivalent_uniform_exposure_of_two_levels():
    a, expected = 0.7, -np.log(0.1 * np.exp(-0.7) + 0.9 * np.exp(-3.5)) / 0.7
    assert kernel.equivalent_uniform(TWO, ones(TWO), a) == pytest.approx(expected)
    assert kernel.equivalent_uniform(TWO, ones(TWO), 1e-9) == pytest.approx(4.6)
    # Large exponents: the cold tenth alone is left.
    far = kernel.equivalent_uniform(1e6 * TWO, ones(TWO), 1.0)
    assert far == pytest.approx(1e6 - np.log(0.1))


def test_coverage_and_its_curve():
    assert kernel.coverage(TWO, ones(TWO), 2.0) == 0.9
    assert kernel.coverage(TWO, ones(TWO), 5.0) == 0.9  # reached is reached
    thresholds = np.array([0.0, 0.25, 0.5, 1.0])
    np.testing.assert_allclose(
        kernel.coverage_curve(SLOPE, ones(SLOPE), thresholds), 1 - thresholds, atol=1e-12
    )


def test_parts_of_a_region():
    inside = np.zeros((6, 5, 4), dtype=bool)
    inside[0, 0, 0] = inside[1, 1, 1] = True  # touch at a corner: one part
    inside[4:, 3:, 2:] = True
    assert kernel.parts(inside)[1] == 2
    assert kernel.largest_part(inside, np.full(inside.shape, 0.5)) == 4.0
    assert kernel.largest_part(np.zeros((2, 2, 2), bool), np.ones((2, 2, 2))) == 0.0


def test_euler_numbers_of_known_bodies():
    box = np.ones((5, 5, 5), dtype=bool)
    hollow = box.copy()
    hollow[2, 2, 2] = False
    ring = np.ones((3, 3, 1), dtype=bool)
    ring[1, 1, 0] = False
    two = np.zeros((5, 1, 1), dtype=bool)
    two[[0, 4]] = True
    assert [kernel.euler_number(one) for one in (box, hollow, ring, two)] == [1, 2, 0, 2]


def test_euler_number_agrees_with_scikit_image():
    from skimage.measure import euler_number

    cloud = np.random.default_rng(4).random((9, 8, 7)) < 0.3
    assert kernel.euler_number(cloud) == euler_number(cloud, connectivity=3)


@pytest.mark.parametrize("measure", EVERY)
@given(factor=st.floats(1e-6, 1e6))
def test_the_unit_changes_no_measure_without_one(measure, factor):
    values = np.array([0.5, 1.0, 2.0, 2.5, 4.0, 7.0])
    weights = np.array([1.0, 1.0, 0.5, 1.0, 0.25, 1.0])
    assert measure(values * factor, weights) == pytest.approx(measure(values, weights), rel=1e-9)


@pytest.mark.parametrize("measure", EVERY)
def test_weights_are_volumes(measure):
    doubled = np.repeat([1.0, 2.0, 4.0], [1, 3, 2])
    weighted = measure(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0]))
    assert measure(doubled, np.ones(6)) == pytest.approx(weighted)


@pytest.mark.parametrize("measure", EVERY)
def test_a_region_without_signal_has_no_relative_spread(measure):
    assert np.isnan(measure(np.zeros(5), np.ones(5)))


@pytest.mark.parametrize("measure", EVERY)
def test_one_voxel_is_even(measure):
    assert measure(np.array([3.0]), np.ones(1)) == 0.0
