"""Batched linear least squares against numpy's own, one curve at a time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from igdd.errors import InputError
from igdd.kernels.judge import NOT_FITTED
from igdd.kernels.linear import solve_linear

RNG = np.random.default_rng(1)
TIME = np.linspace(0, 1, 12)
COMMON = np.stack([np.ones(12), TIME, np.exp(-3 * TIME)], axis=1) * [1e6, 1.0, 1e-4]
TRUTH = RNG.random((20, 3)) / [1e6, 1.0, 1e-4]
VALUES = TRUTH @ COMMON.T + 0.05 * RNG.standard_normal((20, 12))
SD = 0.5 + RNG.random((20, 12))


def by_numpy(design, values, sd):
    scaled = design / sd[:, None]
    found = np.linalg.lstsq(scaled, values / sd, rcond=None)[0]
    squares = np.sum((values / sd - scaled @ found) ** 2)
    return found, np.linalg.inv(scaled.T @ scaled) * squares / (len(values) - design.shape[1])


@pytest.mark.parametrize("own_design", [False, True])
@pytest.mark.parametrize("own_sd", [False, True])
def test_every_curve_is_as_numpy_solves_it(own_design, own_sd):
    factor = 1 + RNG.random((20, 12, 3)) if own_design else 1.0
    design = COMMON * factor
    sd = SD if own_sd else SD[0]
    fitted = solve_linear(design, VALUES, sd)
    for row in range(20):
        one = design[row] if own_design else design
        found, covariance = by_numpy(one, VALUES[row], sd[row] if own_sd else sd)
        assert_allclose(fitted.coefficients[row], found, rtol=1e-9)
        # the reference inverts normal equations of columns that differ by 1e10
        scale = np.sqrt(np.diag(covariance))
        assert_allclose(
            fitted.covariance[row] / np.outer(scale, scale),
            covariance / np.outer(scale, scale),
            atol=1e-4,
        )
        assert_allclose(fitted.predicted[row], one @ found, rtol=1e-9)


@pytest.mark.parametrize("own_design", [False, True])
def test_nearly_parallel_columns_keep_half_their_digits(own_design):
    design = np.stack([np.ones(12), 1 + 1e-7 * TIME], axis=1)
    truth = np.array([[1.0, 2.0]])
    fitted = solve_linear(design[None] if own_design else design, truth @ design.T)
    # rounding 1e-16 times the condition 1e7; the normal equations would have none left
    assert_allclose(fitted.coefficients, truth, atol=1e-7)


@pytest.mark.parametrize("own_design", [False, True])
def test_a_design_of_less_than_full_rank_is_not_fitted(own_design):
    design = np.stack([TIME, 2 * TIME], axis=1)
    design = np.broadcast_to(design, (20, 12, 2)) if own_design else design
    fitted = solve_linear(design, VALUES)
    assert np.isnan(fitted.coefficients).all()
    assert_array_equal(fitted.status, NOT_FITTED)


def test_one_deficient_design_changes_no_other():
    designs = np.broadcast_to(COMMON, (20, 12, 3)).copy()
    whole = solve_linear(designs, VALUES)
    designs[4, :, 2] = 0.0
    fitted = solve_linear(designs, VALUES)
    others = np.arange(20) != 4
    assert_array_equal(fitted.coefficients[others], whole.coefficients[others])
    assert_array_equal(fitted.status, np.where(others, 0, NOT_FITTED))


@pytest.mark.parametrize("own_design", [False, True])
def test_a_missing_value_spoils_its_own_curve_only(own_design):
    design = np.broadcast_to(COMMON, (20, 12, 3)) if own_design else COMMON
    values = VALUES.copy()
    values[3, 7] = np.nan
    fitted = solve_linear(design, values)
    assert np.isnan(fitted.coefficients[3]).all()
    others = np.arange(20) != 3
    assert_array_equal(
        fitted.coefficients[others], solve_linear(design, VALUES).coefficients[others]
    )
    assert_array_equal(fitted.status, np.where(others, 0, NOT_FITTED))


@pytest.mark.parametrize("own_design", [False, True])
def test_a_frame_of_infinite_deviation_is_as_if_it_were_not_there(own_design):
    sd = np.ones(12)
    sd[:3] = np.inf
    values, design = VALUES.copy(), COMMON.copy()
    values[:, :3], design[0] = np.nan, np.inf
    design = np.broadcast_to(design, (20, 12, 3)) if own_design else design
    fitted = solve_linear(design, values, sd)
    fewer = solve_linear(COMMON[3:], VALUES[:, 3:])
    assert_allclose(fitted.coefficients, fewer.coefficients, rtol=1e-9)
    assert_allclose(fitted.covariance, fewer.covariance, rtol=1e-9)
    assert np.isnan(fitted.predicted[:, :3]).all()


def test_as_many_frames_as_columns_leave_no_standard_error():
    fitted = solve_linear(COMMON[:3], VALUES[:, :3])
    assert np.isfinite(fitted.coefficients).all()
    assert np.isnan(fitted.covariance).all()


def test_fewer_frames_than_columns_are_not_fitted():
    assert_array_equal(solve_linear(COMMON[:2], VALUES[:, :2]).status, NOT_FITTED)


@pytest.mark.parametrize("sd", [np.zeros(12), np.full(12, np.nan), -np.ones((20, 12))])
def test_a_deviation_that_is_none_is_refused(sd):
    with pytest.raises(InputError, match="expected positive"):
        solve_linear(COMMON, VALUES, sd)


def test_a_design_of_another_size_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        solve_linear(COMMON[:5], VALUES)
