"""Courses by the matrix exponential where closed forms are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.kernels.matrix_exponential import propagate


def test_the_matrix_exponential_of_defective_and_stiff_matrices():
    """Two equal rates in a row: t exp(-t); and rates 8 decades apart."""
    chain = np.array([[[-1.0, 0, 0], [1.0, -1.0, 0], [0, 1.0, 0]]])
    found = propagate(chain, np.array([1.0, 0, 0]), np.array([0.0, 2.0]))[0]
    assert_allclose(found[1], [np.exp(-2), 2 * np.exp(-2), 1 - 3 * np.exp(-2)], rtol=1e-14)
    assert_allclose(found[0], [1, 0, 0])
    stiff = np.array([[[-1e5, 0, 0], [1e5, -1e-3, 0], [0, 1e-3, 0]]])
    found = propagate(stiff, np.array([1.0, 0, 0]), np.array([1000.0]))[0, 0]
    # 28 squarings: each doubles a rounding error at most
    assert_allclose(found, [0, np.exp(-1), 1 - np.exp(-1)], atol=1e-7)


@pytest.mark.parametrize("rate", [1e13, 1e300, np.inf, np.nan])
def test_a_course_without_digits_is_refused(rate):
    with pytest.raises(InputError, match="unit off"):
        propagate(np.array([[[-rate]]]), np.array([1.0]), np.array([1.0]))
