"""Amounts of compartments with rising uptake, against closed forms and another solver."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp

from igdd.errors import InputError
from igdd.kernels.rising_rates import Rates, amounts


def rates(constant, source=(), target=(), hill=()):
    """One system; `hill` holds maximum, half, exponent of each rising uptake."""
    shape = np.array(hill, dtype=float).reshape(-1, 3)
    return Rates(
        np.array([constant], dtype=float),
        np.array(source, dtype=np.int64),
        np.array(target, dtype=np.int64),
        *(shape[None, :, k] for k in range(3)),
    )


def test_a_rising_uptake_of_exponent_one_has_a_closed_form():
    """dA/dt = -m t / (h + t) A gives A0 exp(-m t) (1 + t / h)^(m h)."""
    found = amounts(
        rates(np.zeros((2, 2)), [0], [1], [(0.7, 3.0, 1.0)]),
        np.array([[5.0, 0.0]]),
        np.array([[0.5, 4.0, 20.0]]),
    )[0]
    time = np.array([0.5, 4.0, 20.0])
    left = 5 * np.exp(-0.7 * time) * (1 + time / 3) ** 2.1
    assert_allclose(found[:, 0], left, rtol=1e-6)  # the accuracy promised
    assert_allclose(found.sum(axis=1), 5.0, rtol=1e-12)


@pytest.mark.parametrize("exponent", [0.01, 0.5, 2.0, 10.0])
def test_a_stiff_system_equals_lsoda(exponent):
    fast, slow = 1e4, 0.02
    constant = [[-fast, 30.0, 0.0], [fast, -30.0 - slow, 0.01], [0.0, slow, -0.01]]
    hill = (2.0, 6.0, exponent)

    def slope(time, state):
        matrix = np.array(constant)
        share = 0.0 if time <= 0 else 1 / (1 + (hill[1] / time) ** exponent)
        matrix[1, 1] -= hill[0] * share
        matrix[2, 1] += hill[0] * share
        return matrix @ state

    times = np.array([0.01, 1.0, 5.0, 24.0, 168.0])
    start = np.array([100.0, 0.0, 0.0])
    oracle = solve_ivp(slope, (0, 168), start, "LSODA", times, rtol=1e-11, atol=1e-12)
    found = amounts(rates(constant, [1], [2], [hill]), start[None], times[None])[0]
    # below 1e-4 of the dose the absolute tolerance rules in both
    assert_allclose(found, oracle.y.T, rtol=1e-6, atol=1e-8)


def test_times_may_be_dense_or_missing_and_change_nothing():
    system = rates([[-0.3, 0.0], [0.3, 0.0]], [0], [1], [(0.1, 5.0, 3.0)])
    start = np.array([[1.0, 0.0]])
    few = amounts(system, start, np.array([[10.0, np.nan]]))[0]
    many = amounts(system, start, np.linspace(0, 10, 301)[None])[0]
    assert_allclose(many[-1], few[0], rtol=1e-6)
    assert np.isnan(few[1]).all()
    assert_allclose(many[0], start[0])


def test_a_tighter_tolerance_brings_more_digits():
    system = rates([[-0.3, 0.0], [0.3, 0.0]], [0], [1], [(1.0, 5.0, 1.0)])
    exact = np.exp(-1.3 * 10) * 3.0**5
    errors = [
        abs(amounts(system, np.array([[1.0, 0.0]]), np.array([[10.0]]), relative)[0, 0, 0] - exact)
        for relative in (1e-4, 1e-7, 1e-10)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-7 * exact  # the absolute tolerance, 1e-11 of the dose, rules here


def test_what_cannot_be_solved_is_refused():
    fine = rates([[-1.0, 0.0], [1.0, 0.0]])
    start, times = np.array([[1.0, 0.0]]), np.array([[1.0]])
    with pytest.raises(InputError, match="ascend"):
        amounts(fine, start, np.array([[2.0, 1.0]]))
    with pytest.raises(InputError, match="ascend"):
        amounts(fine, start, np.array([[-1.0]]))
    with pytest.raises(InputError, match="finite"):
        amounts(rates([[np.nan, 0.0], [1.0, 0.0]]), start, times)
    with pytest.raises(InputError, match="shape"):
        amounts(fine, np.ones((1, 3)), times)
    with pytest.raises(InputError, match="half-time"):
        amounts(rates(np.zeros((2, 2)), [0], [1], [(1.0, 0.0, 1.0)]), start, times)
