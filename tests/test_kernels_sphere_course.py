"""Free and bound drug in shells, against the matrix exponential of the whole system."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
from scipy.linalg import expm

from igdd.kernels.sphere_course import Sphere, solve


def test_shells_equal_the_matrix_exponential_of_the_whole():
    """dC/dt = A C + g e^-kt as one system with the plasma as a state of its own."""
    random, n, uptake = np.random.default_rng(0), 6, 0.3
    bands = random.uniform(0.1, 50.0, (3, n))
    bands[1] = -(bands[0].sum() + bands[2].sum()) - uptake
    gain, volume = random.uniform(0.1, 1.0, n), random.uniform(1.0, 2.0, n)
    sums = np.stack([volume * gain, np.zeros(n), random.uniform(0.0, 1.0, n)])
    times = np.array([0.0, 0.01, 0.5, 7.0])
    found = np.full((4, 2 * n + 2), np.nan)
    sphere = Sphere(bands, gain, uptake, sums, np.array([[2.0, 0.4]]))
    solve(sphere, times, (1e-9, 1e-13), found)
    whole = np.zeros((2 * n + 3, 2 * n + 3))
    whole[:n, :n] = np.diag(bands[1]) + np.diag(bands[0, 1:], 1) + np.diag(bands[2, :-1], -1)
    whole[:n, -1] = gain
    whole[n : 2 * n, :n] = uptake * np.eye(n)
    whole[2 * n, -1] = sums[0].sum()
    whole[2 * n + 1, :n] = sums[2]
    whole[-1, -1] = -0.4
    start = np.zeros(2 * n + 3)
    start[-1] = 2.0
    for row, time in enumerate(times):
        exact = (expm(whole * time) @ start)[:-1]
        # 100 x the error allowed in a step; of nothing, nothing
        assert_allclose(found[row], exact, rtol=1e-7, atol=1e-11)
