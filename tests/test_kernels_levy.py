"""The line through what is released in vitro and absorbed in vivo."""

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels.levy import line, prediction_error, times_of

# Anscombe's first set, whose line is printed in every textbook: 3.00 + 0.500 x, R2 0.667.
X = np.array([10.0, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5])
Y = np.array([8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68])


def test_a_published_line_with_its_limits():
    found = line(X, Y)
    assert found.slope == pytest.approx(0.5001, abs=5e-5)
    assert found.intercept == pytest.approx(3.0001, abs=5e-5)
    assert found.r2 == pytest.approx(0.6665, abs=5e-5)
    # standard errors 0.1179 and 1.1247 with 9 degrees of freedom, t 2.2622
    assert found.slope_limits == pytest.approx((0.5001 - 0.2667, 0.5001 + 0.2667), abs=2e-4)
    assert found.intercept_limits == pytest.approx((3.0001 - 2.5443, 3.0001 + 2.5443), abs=2e-3)


def test_limits_cover_the_truth():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        found = line(X, 2 + 0.7 * X + rng.normal(0, 1, X.size))
        inside += found.slope_limits[0] <= 0.7 <= found.slope_limits[1]
    assert 0.917 <= inside / 400 <= 0.983  # three binomial sd of 400 at 95 %


def test_two_points_have_a_line_without_limits_and_one_has_none():
    found = line(np.array([1.0, 2.0, np.nan]), np.array([1.0, 3.0, 0.0]))
    assert (found.slope, found.points) == (2.0, 2)
    assert np.isnan(found.slope_limits).all()
    with pytest.raises(InputError, match="two or more"):
        line(np.array([1.0, 1.0]), np.array([1.0, 2.0]))


def test_times_of_shares_are_the_first_crossings():
    time, curve = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.1, 0.5, 0.4, 0.9])
    found = times_of(np.array([0.05, 0.1, 0.3, 0.5, 0.65, 0.95]), time, curve)
    np.testing.assert_allclose(found, [np.nan, 0.0, 0.5, 1.0, 2.5, np.nan])


def test_prediction_error_is_relative_to_what_was_observed():
    assert prediction_error(20.0, 23.0) == pytest.approx(-15)
    with pytest.raises(InputError, match="above 0"):
        prediction_error(0.0, 1.0)
