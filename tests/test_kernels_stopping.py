"""Electrons in water against ICRU Report 37 (as in NIST's ESTAR)."""

from __future__ import annotations

import numpy as np

from igdd.kernels.stopping import (
    HIGHEST,
    collision_loss,
    hard_collisions,
    radiative_loss,
    range_of,
    transport,
    water,
)

# Liquid water: MeV, collision stopping power in MeV cm2/g, CSDA range in g/cm2.
ICRU_37 = np.array([
    (0.010, 22.56, 2.515e-4), (0.020, 13.17, 8.566e-4), (0.050, 6.603, 4.320e-3),
    (0.100, 4.115, 1.431e-2), (0.200, 2.793, 4.488e-2), (0.500, 2.034, 1.766e-1),
    (1.000, 1.849, 4.367e-1), (2.000, 1.824, 9.785e-1), (3.000, 1.846, 1.514),
])  # fmt: skip


def test_collision_stopping_power_is_that_of_icru_37():
    # The density correction is Sternheimer's fit, ICRU's was computed: they differ by 0.5 % at most
    np.testing.assert_allclose(collision_loss(ICRU_37[:, 0]), ICRU_37[:, 1], rtol=6e-3)
    below = ICRU_37[:, 0] < 0.6  # where there is none
    np.testing.assert_allclose(
        collision_loss(ICRU_37[below, 0]), ICRU_37[below, 1], rtol=5e-4
    )  # four digits are printed


def test_ranges_are_those_of_icru_37():
    # Ranges begin at 1 keV here, 6e-6 g/cm2 before rest: 2 % at 10 keV, less above.
    np.testing.assert_allclose(range_of(ICRU_37[:, 0]), ICRU_37[:, 2], rtol=2e-2)
    np.testing.assert_allclose(range_of(ICRU_37[2:, 0]), ICRU_37[2:, 2], rtol=4e-3)


def test_radiation_takes_as_much_as_icru_37_says():
    # 1 MeV: 0.01280; 2 MeV: 0.02678. Koch and Motz in the simplest form are good to 10 %
    np.testing.assert_allclose(radiative_loss([1.0, 2.0]), [0.01280, 0.02678], rtol=0.1)


def test_way_and_hard_collisions_share_the_whole_loss():
    energy = np.geomspace(0.05, 5.0, 40)
    number, lost = hard_collisions(energy, 0.01)
    assert (number > 0).all()
    assert (lost < collision_loss(energy)).all()
    none = hard_collisions(np.array([0.015]), 0.01)  # half of it is less than the limit
    assert none[0] == none[1] == 0.0


def test_a_way_with_hard_collisions_is_longer_than_the_mean_one():
    # equal below twice the limit, but for the spline through the step there
    assert (water(0.01).path >= water(HIGHEST).path * (1 - 1e-6)).all()
    assert water(0.01).path[-1] > 1.2 * water(HIGHEST).path[-1]
    assert water(HIGHEST).hits[-1] == 0.0


def test_small_angles_dominate_at_high_energy():
    first, second = transport(np.array([0.05, 1.0]))
    # For forward scattering 1 - P2 = 3 (1 - P1); back scattering makes it less.
    assert (second < 3 * first).all()
    assert (second / first)[1] > (second / first)[0]
