"""Uptake by size: the published table, the equations it solves, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp

from igdd.kernels.size_permeability import (
    Plasma,
    Tissue,
    permeability,
    pore_drag,
    radius_of_protein,
    time_of_maximum,
    tissue_of,
    tumour_uptake,
    uptake_rate,
    void_fraction,
)

# Radius (nm), permeability (cm/s), void fraction, to the digits of the table.
TABLE = (
    (1.8, 4.0e-6, 0.390), (4.85, 3.86e-7, 0.239), (10, 1.8e-7, 0.083), (25, 6.3e-8, 0.048),
    (50, 2.5e-8, 0.045), (100, 7.4e-9, 0.041),
)  # fmt: skip
HOUR = 3600.0
LIPOSOME = 50.0
DAY = np.array([24.0])


def _rate(radius: float) -> float:
    return HOUR * float(uptake_rate(permeability(np.array(radius))))


def _liposome(trap: float = 0.0) -> Tissue:
    return tissue_of(_rate(LIPOSOME), float(void_fraction(np.array(LIPOSOME))), trap=trap)


def _bolus(volume: float, half_life: float) -> Plasma:
    return Plasma(np.array([100.0 / volume]), np.array([np.log(2) / half_life]))


@pytest.mark.parametrize(("radius", "wall", "void"), TABLE)
def test_the_table_of_sizes(radius, wall, void):
    # Half of the last digit printed.
    digits = 0.05 if wall in (4.0e-6, 1.8e-7, 6.3e-8, 2.5e-8, 7.4e-9) else 0.005
    mantissa = 10 ** np.floor(np.log10(wall))
    assert_allclose(permeability(np.array(radius)), wall, atol=digits * mantissa, rtol=0)
    assert_allclose(void_fraction(np.array(radius)), void, atol=0.0005, rtol=0)


def test_an_antibody_has_the_values_in_common_use():
    # 334 um/day and 0.24 are what models of antibody conjugates take (one unit of rounding).
    assert_allclose(permeability(np.array(4.85)) * 1e4 * 86400, 334, atol=1.0)
    assert_allclose(_rate(4.85), 0.0396, atol=5e-5)
    assert_allclose(radius_of_protein(np.array(150.0)), 4.84, atol=0.005)


def test_the_liposome_rates():
    assert_allclose(_rate(LIPOSOME), 0.00256, atol=5e-6)  # half of the last digit
    assert_allclose(_liposome().loss, 0.0567, atol=5e-5)


def test_the_human_liposome_reality_check():
    plasma = _bolus(3000.0, 76.1)
    at = np.array([72.0])
    reversible = 1000 * tumour_uptake(_liposome(), plasma, at)
    trapped = 1000 * tumour_uptake(_liposome(np.inf), plasma, at)
    assert_allclose(reversible, 0.90, atol=0.005)  # %ID/kg, digits as printed
    assert_allclose(trapped, 4.51, atol=0.005)
    assert_allclose(time_of_maximum(_liposome(), plasma, 1e4), 38, atol=0.5)
    gains = np.array([5.3, 18.3, 33.0]) / trapped
    assert_allclose(gains, [1.2, 4.1, 7.3], atol=0.05)


def test_the_mouse_liposome_reality_check():
    plasma = _bolus(1.0, 10.3)
    assert_allclose(tumour_uptake(_liposome(), plasma, DAY), 1.39, atol=0.005)  # %ID/mL
    assert_allclose(tumour_uptake(_liposome(np.inf), plasma, DAY), 3.05, atol=0.005)


def test_drag_is_that_of_a_sphere_on_the_axis_of_a_pore():
    # Small spheres: Faxen's 1 / (1 - 2.105 L), next term of order L^3.
    small = np.array([0.001, 0.01])
    assert_allclose(pore_drag(small), 1 / (1 - 2.105 * small), rtol=1e-5)
    # Both sources where they meet: 5 % apart, as the docstring says.
    assert_allclose(pore_drag(np.array([0.6 - 1e-9])), pore_drag(np.array([0.6])), rtol=0.06)
    assert np.isinf(pore_drag(np.array([0.901]))).all()


@given(st.floats(0.3, 300.0), st.floats(1.001, 1.5))
@settings(max_examples=100)
def test_a_larger_agent_passes_less_and_finds_less_room(radius, factor):
    pair = np.array([radius, radius * factor])
    wall, void = permeability(pair), void_fraction(pair)
    assert wall[1] < wall[0]
    assert void[1] <= void[0]


@pytest.mark.parametrize(
    "tissue",
    [
        Tissue(0.03, 0.1),
        Tissue(0.03, 0.1, trap=0.05),
        Tissue(0.03, 0.1, trap=0.05, release=0.02),
        tissue_of(0.03, 0.3, trap=0.01, antigen_over_kd=3.0, internalisation=0.1),
        Tissue(0.03, 0.1, trap=0.4, release=0.5),  # a rate of the plasma met twice
        Tissue(0.03, 0.0, trap=0.02, release=0.02),  # three rates alike
    ],
)
def test_the_closed_form_solves_its_equations(tissue):
    plasma = Plasma(np.array([1.0, 0.5]), np.array([0.5, 0.02]))

    def slopes(moment, held):
        inflow = tissue.uptake * plasma.at(np.array([moment]))[0]
        return [
            inflow - (tissue.loss + tissue.trap) * held[0],
            tissue.trap * held[0] - tissue.release * held[1],
        ]

    times = np.array([0.5, 5.0, 50.0])
    solved = solve_ivp(
        slopes, (0, 50), [0.0, 0.0], t_eval=times, rtol=1e-11, atol=1e-14, method="DOP853"
    )
    # 1e-8: well above the solver's tolerance, well below any slip of algebra
    assert_allclose(tumour_uptake(tissue, plasma, times), solved.y.sum(axis=0), rtol=1e-8)


def test_full_trapping_is_the_limit_of_fast_trapping():
    plasma = _bolus(1.0, 10.3)
    fast = tumour_uptake(_liposome(1e6), plasma, DAY)
    assert_allclose(fast, tumour_uptake(_liposome(np.inf), plasma, DAY), rtol=1e-6)
    both = Tissue(0.01, 0.1, trap=np.inf, release=0.03)
    nearly = Tissue(0.01, 0.1, trap=1e7, release=0.03)
    assert_allclose(tumour_uptake(both, plasma, DAY), tumour_uptake(nearly, plasma, DAY), rtol=1e-6)


@given(st.floats(1e-3, 5.0), st.floats(1e-12, 1e-2), st.floats(0.1, 100.0))
@settings(max_examples=100)
def test_rates_that_meet_change_nothing_abruptly(rate, gap, time):
    at = np.array([time])
    plasma = Plasma(np.array([1.0]), np.array([rate]))
    near = tumour_uptake(Tissue(1.0, rate * (1 + gap), trap=0.0), plasma, at)
    # By exact arithmetic of the mean rate: relative change (gap rate t)^2 / 24, and rounding.
    middle = rate * (1 + gap / 2)
    exact = time * np.exp(-middle * time) * np.sinh(x := gap * rate * time / 2) / (x or 1.0)
    assert_allclose(near, exact, rtol=1e-7)


def test_the_maximum_of_one_exponential_has_its_closed_form():
    plasma = Plasma(np.array([1.0]), np.array([0.05]))
    found = time_of_maximum(Tissue(0.01, 0.2), plasma, 1e4)
    assert_allclose(found, np.log(0.2 / 0.05) / (0.2 - 0.05), rtol=1e-6)


def test_what_is_trapped_for_good_rises_throughout():
    assert np.isinf(time_of_maximum(_liposome(np.inf), _bolus(1.0, 10.3), 1e4))


def test_a_target_keeps_a_small_agent_and_does_little_for_a_large_one():
    # Schmidt and Wittrup: liposomes gain little from a target, small proteins much.
    gains = []
    for radius in (1.8, 50.0):
        plasma = _bolus(1.0, 10.3 if radius > 10 else 0.5)
        rate, void = _rate(radius), float(void_fraction(np.array(radius)))
        plain = tumour_uptake(tissue_of(rate, void), plasma, DAY)
        aimed = tumour_uptake(
            tissue_of(rate, void, antigen_over_kd=100.0, internalisation=0.05), plasma, DAY
        )
        gains.append(float(aimed[0] / plain[0]))
    assert gains[0] > 10 * gains[1] > 10
