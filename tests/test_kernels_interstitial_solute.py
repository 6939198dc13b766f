"""Drug in a spherical tumour: conserved, and equal to closed forms where there are some."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp

from igdd.errors import InputError
from igdd.kernels.interstitial_solute import SURFACES, Solute, bernoulli, peclet, transport
from igdd.kernels.interstitium import Fluid, centres, edges, flow, shell_volumes

# A tumour of 5 mm radius with fluid leaving it; an antibody-like drug. mm, s, Pa.
TUMOUR = Fluid(radius=5.0, conductivity=3.1e-8, filtration=4.2e-7, effective=1533.0)
DRUG = Solute(diffusion=1e-5, permeability=2e-5, reflection=0.9)
HOURS = np.array([1.0, 6.0, 24.0, 96.0]) * 3600
PLASMA = np.array([[0.6, 1e-4], [0.4, 6e-6]])
# No pressure difference: no fluid moves.
STILL = TUMOUR._replace(effective=0.0)


def plasma_at(time):
    return PLASMA[:, 0] @ np.exp(-PLASMA[:, 1] * time)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("uptake", [0.0, 1e-5])
@pytest.mark.parametrize("shells", [20, 150])
def test_the_balance_closes_to_rounding(surface, uptake, shells):
    fluid = TUMOUR._replace(drainage=3e-8)
    places = edges(fluid, shells)
    found = transport(fluid, DRUG._replace(surface=surface, uptake=uptake), PLASMA, HOURS, places)
    # acceptance asks for 1e-6; steps of one set of weights leave rounding
    assert np.abs(found.balance).max() < 1e-11
    assert (found.free >= 0).all()
    assert (found.bound >= 0).all()
    assert (np.diff(found.left) > 0).all()


def test_without_flow_or_loss_a_tumour_fills_as_one_compartment():
    """dC/dt = PS (Cp - C) everywhere alike: C = PS sum c (e^-kt - e^-PSt) / (PS - k)."""
    places = edges(STILL, 60)
    found = transport(STILL, DRUG, PLASMA, HOURS, places)
    rate = DRUG.permeability
    exact = sum(
        c * rate * (np.exp(-k * HOURS) - np.exp(-rate * HOURS)) / (rate - k) for c, k in PLASMA
    )
    assert_allclose(found.free, np.repeat(exact[:, None], 60, axis=1), rtol=2e-6)


def test_diffusion_to_a_washed_surface_has_a_closed_form():
    """Steady: D C'' + 2 D C' / r = PS (C - Cp): C = Cp (1 - R sinh(m r) / (r sinh(m R)))."""
    solute = DRUG._replace(surface="washed", permeability=4e-6)
    places = edges(STILL, 400)
    found = transport(STILL, solute, np.array([[1.0, 0.0]]), np.array([1e8]), places)
    m = np.sqrt(solute.permeability / solute.diffusion)
    r = centres(places)
    exact = 1 - 5 * np.sinh(m * r) / (r * np.sinh(m * 5))
    # second order in the shells; first order in the last half shell, where C is near 0
    assert_allclose(found.free[0], exact, atol=2e-4)


def test_where_only_filtration_brings_drug_the_tumour_holds_what_passes_the_wall():
    """Steady, no diffusion through the wall: div(u C) = Jv (1 - s) Cp has C = (1 - s) Cp."""
    solute = DRUG._replace(permeability=1e-14, diffusion=1e-9)
    places = edges(TUMOUR, 200)
    found = transport(TUMOUR, solute, np.array([[1.0, 0.0]]), np.array([1e12]), places)
    assert_allclose(found.free[0], 0.1, rtol=1e-5)


@pytest.mark.parametrize("surface", SURFACES)
def test_concentrations_equal_lsoda_on_plain_differences(surface):
    """Another discretisation (central, uniform, 800 nodes) and another solver, to 0.5 %."""
    solute, nodes = DRUG._replace(surface=surface, uptake=5e-6), 800
    r = (np.arange(nodes) + 0.5) * 5.0 / nodes
    h = 5.0 / nodes
    from igdd.kernels.interstitium import pressure_closed_form, velocity_closed_form

    pressure = pressure_closed_form(TUMOUR, r)
    face = np.arange(nodes + 1) * h
    u = np.append(0.0, velocity_closed_form(TUMOUR, face[1:]))
    jv = TUMOUR.filtration * (TUMOUR.effective - pressure) * (1 - solute.reflection)
    pe = jv / solute.permeability
    ps = solute.permeability * pe / np.expm1(pe)
    width = face[1:] ** 3 - face[:-1] ** 3

    def slope(time, c):
        inner = face[1:-1] ** 2 * (
            u[1:-1] * (c[1:] + c[:-1]) / 2 - solute.diffusion * np.diff(c) / h
        )
        out = (
            25.0 * u[-1] * c[-1] if surface == "outflow" else 25 * solute.diffusion * 2 * c[-1] / h
        )
        flux = np.concatenate([[0.0], inner, [out]])
        cp = plasma_at(time)
        return -3 * np.diff(flux) / width + jv * cp + ps * (cp - c) - solute.uptake * c

    oracle = solve_ivp(slope, (0, HOURS[-1]), np.zeros(nodes), "LSODA", HOURS, rtol=1e-7,
                       atol=1e-10, lband=1, uband=1)  # fmt: skip
    places = edges(TUMOUR, 300)
    found = transport(TUMOUR, solute, PLASMA, HOURS, places)
    volume, their = shell_volumes(places), width / width.sum()
    for row in range(HOURS.size):
        mean = found.free[row] @ volume / volume.sum()
        assert_allclose(mean, their @ oracle.y[:, row], rtol=2e-3)
        here = np.interp(r[: nodes * 9 // 10], centres(places), found.free[row])
        assert_allclose(here, oracle.y[: nodes * 9 // 10, row], rtol=5e-3)


def test_twice_the_plasma_is_twice_the_drug():
    places = edges(TUMOUR, 40)
    once = transport(TUMOUR, DRUG, PLASMA, HOURS, places)
    twice = transport(TUMOUR, DRUG, PLASMA * [2.0, 1.0], HOURS, places)
    assert_allclose(twice.free, 2 * once.free, rtol=1e-9)


def test_peclet_and_its_function():
    pressure, _ = flow(TUMOUR, edges(TUMOUR, 40))
    expected = TUMOUR.filtration * (1533.0 - pressure) * 0.1 / 2e-5
    assert_allclose(peclet(TUMOUR, DRUG, pressure), expected)
    number = np.array([-3.0, -1e-9, 0.0, 1e-7, 2.0])
    with np.errstate(invalid="ignore"):
        exact = np.where(number == 0, 1.0, number / np.expm1(number))
    assert_allclose(bernoulli(number), exact, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"diffusion": 0.0}, "diffusion"),
        ({"permeability": -1.0}, "permeability"),
        ({"permeability": np.nan}, "permeability"),
        ({"reflection": 1.1}, "0 to 1"),
        ({"uptake": -1.0}, "uptake"),
        ({"surface": "open"}, "outflow or washed"),
    ],
)
def test_an_impossible_drug_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        transport(TUMOUR, DRUG._replace(**change), PLASMA, HOURS, edges(TUMOUR, 20))


def test_impossible_plasma_times_and_inflow_are_refused():
    places = edges(TUMOUR, 20)
    with pytest.raises(InputError, match="plasma"):
        transport(TUMOUR, DRUG, np.array([[1.0, -1.0]]), HOURS, places)
    with pytest.raises(InputError, match="ascend"):
        transport(TUMOUR, DRUG, PLASMA, HOURS[::-1], places)
    inward = TUMOUR._replace(surface=3000.0)
    with pytest.raises(InputError, match="flows into the tumour"):
        transport(inward, DRUG, PLASMA, HOURS, edges(inward, 20))
