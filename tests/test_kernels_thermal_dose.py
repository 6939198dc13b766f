"""CEM43: published examples, exact ramps, maps."""

import numpy as np
import pytest
from scipy import integrate

from igdd.kernels.thermal_dose import cem43, cem43_of_frames

MINUTES = [(60.0, 41.0, 3.75), (60.0, 42.0, 15.0), (60.0, 43.0, 60.0), (10.0, 44.0, 20.0),
           (1 / 60, 56.0, 8192 / 60)]  # fmt: skip


@pytest.mark.parametrize(("minutes", "temperature", "expected"), MINUTES)
def test_steady_heating_at_the_values_of_the_definition(minutes, temperature, expected):
    time = np.array([0.0, minutes])
    assert cem43(time, np.full(2, temperature))[-1] == pytest.approx(expected, rel=1e-12)
    assert cem43_of_frames(np.array([minutes]), np.array([temperature])) == pytest.approx(expected)


def test_a_ramp_through_the_break_is_integrated_exactly():
    time, temperature = np.array([0.0, 5.0, 9.0]), np.array([37.0, 47.0, 38.0])

    def rate(minute):
        T = np.interp(minute, time, temperature)
        return (0.5 if T >= 43 else 0.25) ** (43 - T)

    breaks = [3.0, 5.0, 5 + 4 * 4 / 9]
    expected = integrate.quad(rate, 0, 9, points=breaks, epsabs=0, epsrel=1e-12)[0]
    assert cem43(time, temperature)[-1] == pytest.approx(expected, rel=1e-10)


def test_refining_the_samples_of_a_ramp_changes_nothing():
    time, temperature = np.array([0.0, 10.0]), np.array([37.0, 45.0])
    fine = np.linspace(0, 10, 777)
    again = cem43(fine, np.interp(fine, time, temperature))[-1]
    assert again == pytest.approx(cem43(time, temperature)[-1], rel=1e-10)


def test_nothing_counts_below_39_where_that_is_asked_for():
    time = np.array([0.0, 60.0])
    assert cem43(time, np.full(2, 38.9), least=39.0)[-1] == 0
    assert cem43(time, np.full(2, 39.0), least=39.0)[-1] == pytest.approx(60 * 0.25**4)
    ramp = cem43(time, np.array([37.0, 41.0]), least=39.0)[-1]
    # the second half of the ramp alone
    assert ramp == pytest.approx(cem43(np.array([30.0, 60.0]), np.array([39.0, 41.0]))[-1])
    assert cem43_of_frames(np.array([60.0]), np.array([38.9]), least=39.0) == 0


def test_voxels_are_independent():
    time = np.linspace(0, 20, 9)
    maps = 37 + np.random.default_rng(0).uniform(0, 10, (3, 4, 9))
    whole = cem43(time, maps)
    assert whole.shape == maps.shape
    assert whole[2, 1, -1] == pytest.approx(cem43(time, maps[2, 1])[-1], rel=1e-14)
