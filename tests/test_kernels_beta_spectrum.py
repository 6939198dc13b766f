"""Beta spectra: shapes, means and end points."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.kernels.beta_spectrum import end_point_of, spectrum


@pytest.mark.parametrize(
    ("mean", "charge", "unique", "end"),
    [
        (0.6948, 16, False, 1.7107),  # P-32
        (0.93299, 40, True, 2.2801),  # Y-90
        (0.58457, 39, True, 1.4951),  # Sr-89
        (0.19573, 39, True, 0.5460),  # Sr-90
        (0.14914, 72, False, 0.4978),  # Lu-177
        (0.19153, 54, False, 0.6063),  # I-131
        (0.24980, -8, False, 0.6335),  # F-18, a positron emitter
        (0.27820, -28, False, 0.6531),  # Cu-64, likewise
        (0.83580, -30, False, 1.8991),  # Ga-68, likewise
    ],
)
def test_a_mean_energy_of_icrp_107_gives_the_end_point_that_was_measured(mean, charge, unique, end):
    # Screening is left out: 0.7 % for the positrons of Cu-64, less for the others.
    assert end_point_of(mean, charge, unique) == pytest.approx(end, rel=8e-3)


def test_the_wrong_shape_is_told_by_its_end_point():
    assert end_point_of(0.19573, 39, unique=False) > 1.1 * 0.5460


def test_without_charge_the_spectrum_is_that_of_phase_space():
    energy, share = spectrum(1.0, 0)
    W = 1 + energy / 0.51099895
    space = np.sqrt(W**2 - 1) * W * (1.0 - energy) ** 2
    np.testing.assert_allclose(share, space / space.sum(), rtol=1e-12)


def test_a_nucleus_draws_electrons_back_and_drives_positrons_away():
    means = [float(np.dot(*spectrum(1.0, charge))) for charge in (40, 0, -40)]
    assert means[0] < means[1] < means[2]


def test_four_times_the_points_give_the_same_mean():
    energy, share = spectrum(2.28, 40, unique=True)
    fine = spectrum(2.28, 40, unique=True, points=4 * energy.size)
    # midpoints of 400 steps: the error falls with their square
    assert float(energy @ share) == pytest.approx(float(fine[0] @ fine[1]), rel=1e-5)


@pytest.mark.parametrize("mean", [0.0, -0.1, float("nan"), 25.0])
def test_an_energy_no_nucleus_has_is_refused(mean):
    with pytest.raises(InputError, match="mean energy"):
        end_point_of(mean, 40)
