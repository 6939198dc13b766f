"""Elasticities against outcomes whose derivative is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.elasticity import elasticities


def test_of_powers_they_are_the_exponents():
    def outcome(points):
        return points[:, :1] ** 3 * points[:, 1:2] ** -0.5

    found = elasticities(outcome, np.array([2.0, 7.0]))
    assert_allclose(found.value.ravel(), [3.0, -0.5], atol=1e-12)


def test_of_an_exponential_the_error_is_what_is_said():
    """d ln exp(-p^2) / d ln p = -2 p^2; Richardson leaves the fourth order of the step."""

    def outcome(points):
        return np.exp(-(points**2))

    found = elasticities(outcome, np.array([1.5]))
    assert abs(found.value[0, 0] + 4.5) < found.error[0, 0]
    assert found.error[0, 0] < 2e-3 * 4.5


def test_a_parameter_of_zero_has_none_and_an_outcome_of_zero_is_unknown():
    def outcome(points):
        return np.column_stack([points[:, 0] + points[:, 1], 0 * points[:, 0]])

    found = elasticities(outcome, np.array([0.0, 4.0]))
    assert_allclose(found.value[:, 0], [0.0, 1.0], atol=1e-12)
    assert np.isnan(found.value[:, 1]).all()


@pytest.mark.parametrize("point", [[-1.0], [np.nan], [[1.0]]])
def test_a_point_without_logarithm_is_refused(point):
    with pytest.raises(InputError):
        elasticities(lambda points: points, np.array(point))
