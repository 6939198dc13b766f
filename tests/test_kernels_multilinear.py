"""Integrals of a tissue from its frames, and least squares carried over to natural parameters."""

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels import judge
from igdd.kernels.multilinear import Columns, check_in_a_row, once, operators, twice
from igdd.kernels.multilinear import fit as fit_columns

START = np.array([0.0, 10.0, 30.0, 60.0])
END = np.array([10.0, 30.0, 60.0, 120.0])


def ratio(coefficients):
    first, second = coefficients.T
    parameters = np.stack([first, second / first], axis=1)
    derivative = np.zeros((len(first), 2, 2))
    derivative[:, 0, 0] = 1.0
    derivative[:, 1, 0], derivative[:, 1, 1] = -second / first**2, 1 / first
    return parameters, derivative


def fit(columns, values, sd, natural):
    return fit_columns(
        Columns(given=columns, own=()), values, sd, np.ones(values.shape[1], dtype=bool), natural
    )


def test_integrals_of_a_level_tissue_are_t_and_half_t_squared_over_the_frames():
    level = np.full((1, 4), 3.0)
    middle = (START + END) / 2
    np.testing.assert_allclose(once(level, START, END, "exact")[0], 3 * middle, rtol=1e-14)
    # The mean of t^2 / 2 over a frame is (start^2 + start end + end^2) / 6.
    mean = (START**2 + START * END + END**2) / 6
    np.testing.assert_allclose(twice(level, START, END, "exact")[0], 3 * mean, rtol=1e-14)


def test_the_trapezium_joins_the_middles_from_nothing_at_zero():
    values = np.array([[2.0, 4.0, 4.0, 1.0]])
    middle = np.concatenate([[0.0], (START + END) / 2])
    steps = np.diff(middle)
    whole = np.concatenate([[0.0], values[0]])
    first = np.cumsum(steps * (whole[1:] + whole[:-1]) / 2)
    np.testing.assert_allclose(once(values, START, END, "trapezium")[0], first, rtol=1e-14)
    again = np.concatenate([[0.0], first])
    second = np.cumsum(steps * (again[1:] + again[:-1]) / 2)
    np.testing.assert_allclose(twice(values, START, END, "trapezium")[0], second, rtol=1e-14)


def test_a_linear_sum_gives_its_parameters_back():
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(2, 12))
    found = fit(list(columns), (2.0 * columns[0] + 5.0 * columns[1])[None], None, ratio)
    np.testing.assert_allclose(found.parameters, [[2.0, 2.5]], rtol=1e-12)
    assert found.status[0] == 0


def test_the_covariance_of_natural_parameters_is_that_of_repeated_fits():
    rng = np.random.default_rng(2)
    columns = 1 + rng.random((2, 30))
    noise = rng.normal(scale=0.02, size=(4000, 30))
    found = fit(list(columns), 2.0 * columns[0] + 5.0 * columns[1] + noise, None, ratio)
    spread = np.cov(found.parameters.T)
    # 4,000 draws leave a variance uncertain by sqrt(2 / 4000) = 2.2 %; 4 of these.
    np.testing.assert_allclose(np.mean(found.covariance, axis=0), spread, rtol=0.09)


def test_a_curve_without_value_or_signal_is_not_fitted_and_the_others_do_not_notice():
    rng = np.random.default_rng(3)
    columns = list(rng.normal(size=(2, 10)))
    good = columns[0] + columns[1] + rng.normal(scale=0.1, size=10)
    missing = np.where(np.arange(10) == 4, np.nan, good)
    alone = fit(columns, good[None], None, ratio)
    among = fit(columns, np.stack([missing, good, np.zeros(10)]), None, ratio)
    assert (among.status[[0, 2]] == judge.NOT_FITTED).all()
    assert np.isnan(among.parameters[[0, 2]]).all()
    np.testing.assert_array_equal(among.parameters[1], alone.parameters[0])
    np.testing.assert_array_equal(among.covariance[1], alone.covariance[0])


def test_columns_that_cannot_be_told_apart_are_not_fitted():
    column = np.arange(1.0, 9.0)
    found = fit([column, 2 * column], (3 * column)[None], None, ratio)
    assert found.status[0] == judge.NOT_FITTED


def test_frames_apart_are_refused_unless_the_gap_is_allowed():
    later = START + np.array([0.0, 0.0, 15.0, 15.0])
    with pytest.raises(InputError, match="frame 3 starts at 45 s, the one before it ends at 30 s"):
        check_in_a_row(later, END + np.array([0.0, 0.0, 15.0, 15.0]))
    check_in_a_row(later, END + np.array([0.0, 0.0, 15.0, 15.0]), 15.0)


def test_too_few_frames_are_refused():
    with pytest.raises(InputError, match="2 of 4 frames lie between start and end"):
        fit_columns(Columns(given=[START, END], own=()), START[None], None, START >= 30.0, ratio)


@pytest.mark.parametrize("integration", ["exact", "trapezium"])
def test_the_operators_are_the_integrals_and_look_back_only(integration):
    values = np.random.default_rng(8).normal(size=(3, 4))
    single, double = operators(START, END, integration)
    np.testing.assert_allclose(values @ single.T, once(values, START, END, integration), rtol=1e-12)
    np.testing.assert_allclose(
        values @ double.T, twice(values, START, END, integration), rtol=1e-12
    )
    assert not np.triu(single, 1).any()
    assert not np.triu(double, 1).any()
