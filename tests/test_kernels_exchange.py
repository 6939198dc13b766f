from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from igdd.kernels.exchange import exponentials, rate_constants

RATES = np.random.default_rng(0).uniform(1e-5, 1e-1, (4, 500))


def test_there_and_back_is_the_same():
    # Rounding, times the condition of two rates that lie close to each other.
    assert_allclose(rate_constants(*exponentials(*RATES)), RATES, rtol=1e-7)


def test_exponentials_are_the_eigenvalues_of_the_exchange():
    K1, k2, k3, k4 = RATES
    a1, theta1, a2, theta2 = exponentials(K1, k2, k3, k4)
    for one in range(20):
        matrix = [[-k2[one] - k3[one], k4[one]], [k3[one], -k4[one]]]
        assert_allclose(np.sort(-np.linalg.eigvals(matrix)), [theta1[one], theta2[one]], rtol=1e-9)
    assert (a1 >= 0).all()
    assert (a2 >= 0).all()
    assert_allclose(a1 * theta1 + a2 * theta2, K1 * k2, rtol=1e-9)


def test_nothing_moves_where_all_rates_are_zero():
    zero = np.zeros(1)
    assert_allclose(exponentials(np.ones(1), zero, zero, zero), [[0], [0], [1], [0]])


def test_without_return_the_slow_exponential_stays():
    a1, theta1, a2, theta2 = exponentials(*np.array([[1.0], [0.3], [0.1], [0.0]]))
    assert_allclose([a1[0], theta1[0], a2[0], theta2[0]], [0.25, 0.0, 0.75, 0.4])
