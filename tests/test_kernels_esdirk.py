"""The Runge-Kutta coefficients meet the conditions of their order."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from igdd.kernels.esdirk import DEFECT, GAMMA, LAST, NODES, STAGES


def test_the_method_has_order_four_and_its_estimate_order_three():
    """Order conditions of Runge-Kutta methods (Butcher); 1e-13: sums of a few rational numbers."""
    a = STAGES + np.diag([0.0, *[GAMMA] * 5])
    assert_allclose(a.sum(axis=1), NODES, atol=1e-13)
    for b, order in ((LAST, 4), (LAST - DEFECT, 3)):
        conditions = {
            1: [(b.sum(), 1.0)],
            2: [(b @ NODES, 1 / 2)],
            3: [(b @ NODES**2, 1 / 3), (b @ a @ NODES, 1 / 6)],
            4: [
                (b @ NODES**3, 1 / 4),
                (b * NODES @ a @ NODES, 1 / 8),
                (b @ a @ NODES**2, 1 / 12),
                (b @ a @ a @ NODES, 1 / 24),
            ],
        }
        for degree in range(1, order + 1):
            for found, expected in conditions[degree]:
                assert_allclose(found, expected, atol=1e-13)
    assert_allclose(LAST, [*STAGES[5, :5], GAMMA])  # stiffly accurate


def test_the_method_damps_what_is_infinitely_stiff():
    """L-stable: R(z) = 1 + z b (I - z A)^-1 1 goes to 0 as z goes to minus infinity."""
    a = STAGES + np.diag([0.0, *[GAMMA] * 5])
    for z in (-1e6, -1e9):
        growth = 1 + z * LAST @ np.linalg.solve(np.eye(6) - z * a, np.ones(6))
        assert abs(growth) < 10 / abs(z)
