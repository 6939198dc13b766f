"""The matrix exponential of compartment systems against analytic truth."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels.linear_system import Dose, amounts, exponential, propagate

TIMES = np.linspace(0.0, 20.0, 21)


def test_the_exponential_of_a_rotation_is_a_rotation():
    angle = np.array([0.1, 3.0, 40.0])
    turn = angle[:, None, None] * np.array([[0.0, -1.0], [1.0, 0.0]])
    expected = np.stack(
        [np.stack([np.cos(angle), -np.sin(angle)], 1), np.stack([np.sin(angle), np.cos(angle)], 1)],
        axis=1,
    )
    # squaring doubles the rounding: 2^7 eps for a norm of 40
    np.testing.assert_allclose(exponential(turn), expected, atol=1e-13)


def test_nearly_equal_rates_keep_their_digits():
    rate, gap = 1.0, 1e-9
    matrix = np.array([[-rate, rate + gap], [0.0, -(rate + gap)]])
    # (exp(-a) - exp(-b)) / (b - a) = exp(-a) (1 - h / 2 + ...) with h = b - a
    expected = (rate + gap) * np.exp(-rate) * (1 - gap / 2)
    np.testing.assert_allclose(exponential(matrix)[0, 1], expected, rtol=1e-14)


def test_a_closed_system_keeps_its_amount():
    matrix = np.array([[-0.7, 0.2, 0.1], [0.4, -0.2, 0.0], [0.3, 0.0, -0.1]])
    found = amounts(matrix, [Dose(2.0, 5.0), Dose(3.0, 1.0, 2, 4.0)], TIMES)
    given = np.where(TIMES >= 2, 5.0, 0.0) + np.clip((TIMES - 3) / 4, 0, 1)
    np.testing.assert_allclose(found.sum(axis=1), given, rtol=1e-12, atol=1e-13)


def test_an_infusion_is_the_mean_of_boluses():
    matrix = np.array([[-0.5, 0.1], [0.3, -0.1]])
    through = amounts(matrix, [Dose(0.0, 1.0, 0, 2.0)], np.array([5.0]))[0]
    moments, weights = np.polynomial.legendre.leggauss(12)
    several = [
        Dose(1.0 + moment, weight / 2) for moment, weight in zip(moments, weights, strict=True)
    ]
    # 12 Gauss points are exact to rounding for these exponentials
    np.testing.assert_allclose(through, amounts(matrix, several, np.array([5.0]))[0], rtol=1e-12)


def test_steady_state_is_what_many_doses_lead_to():
    matrix = np.array([[-0.5, 0.1], [0.3, -0.15]])
    steady = amounts(matrix, [Dose(0.0, 1.0, 0, 3.0, 2.0)], TIMES)
    many = [Dose(-2.0 * number, 1.0, 0, 3.0) for number in range(400)]
    # the slowest rate leaves exp(-0.05 * 800) of the first dose
    np.testing.assert_allclose(steady, amounts(matrix, many, TIMES), rtol=1e-9)


def test_nothing_is_there_before_the_dose():
    assert not amounts(np.array([[-1.0]]), [Dose(30.0, 1.0)], TIMES).any()


@pytest.mark.parametrize("matrix", [np.ones((2, 3)), np.array([[np.nan]]), np.array([[np.inf]])])
def test_what_is_no_system_is_refused(matrix):
    with pytest.raises(InputError):
        amounts(matrix, [Dose(0.0, 1.0)], TIMES)


def test_the_matrix_exponential_of_defective_and_stiff_matrices():
    """Two equal rates in a row: t exp(-t); and rates 8 decades apart."""
    chain = np.array([[[-1.0, 0, 0], [1.0, -1.0, 0], [0, 1.0, 0]]])
    found = propagate(chain, np.array([1.0, 0, 0]), np.array([0.0, 2.0]))[0]
    np.testing.assert_allclose(
        found[1], [np.exp(-2), 2 * np.exp(-2), 1 - 3 * np.exp(-2)], rtol=1e-14
    )
    np.testing.assert_allclose(found[0], [1, 0, 0])
    stiff = np.array([[[-1e5, 0, 0], [1e5, -1e-3, 0], [0, 1e-3, 0]]])
    found = propagate(stiff, np.array([1.0, 0, 0]), np.array([1000.0]))[0, 0]
    # 28 squarings: each doubles a rounding error at most
    np.testing.assert_allclose(found, [0, np.exp(-1), 1 - np.exp(-1)], atol=1e-7)


@pytest.mark.parametrize("rate", [1e13, 1e300, np.inf, np.nan])
def test_a_course_without_digits_is_refused(rate):
    with pytest.raises(InputError, match="unit off"):
        propagate(np.array([[[-rate]]]), np.array([1.0]), np.array([1.0]))
