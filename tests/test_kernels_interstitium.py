"""Interstitial pressure and flow in a sphere, against the closed form and its derivation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd import units
from igdd.errors import InputError
from igdd.kernels.interstitium import (
    Fluid,
    balanced_pressure,
    centres,
    edges,
    flow,
    hydraulic_number,
    pressure_closed_form,
    shell_volumes,
    velocity_closed_form,
)

TUMOUR = Fluid(
    radius=10.0,
    conductivity=units.read("4.13e-8 cm2/(mmHg.s)", "mm2/(Pa.s)"),
    filtration=units.read("2.8e-7 cm/(mmHg.s)", "mm/(Pa.s)") * 20.0,
    effective=units.read("11.5 mmHg", "Pa"),
)
LYMPHATIC = TUMOUR._replace(drainage=1e-8, lymphatic=-200.0, surface=300.0)
SIZES = [TUMOUR, LYMPHATIC, *(TUMOUR._replace(radius=radius) for radius in (0.1, 1.0, 100.0))]


def test_the_numbers_of_a_tumour_of_one_centimetre():
    # sqrt(2.8e-7 * 200 / 4.13e-8) = 36.823, by hand; conversion of units cancels
    assert_allclose(hydraulic_number(TUMOUR), 36.8230, rtol=1e-5)
    assert_allclose(balanced_pressure(TUMOUR), TUMOUR.effective)


@pytest.mark.parametrize("fluid", SIZES)
def test_the_closed_form_solves_the_equation_and_its_boundary(fluid):
    """p'' + 2 p' / r = (F + L) (p - p0) / K, by differences on a fine grid; p(R) = ps."""
    scale = min(fluid.radius, 10 * fluid.radius / hydraulic_number(fluid))
    place = fluid.radius - scale * np.linspace(0.02, 0.5, 9)
    step = 1e-4 * scale
    below, here, above = (pressure_closed_form(fluid, place + k * step) for k in (-1, 0, 1))
    bend = (above - 2 * here + below) / step**2
    slope = (above - below) / (2 * step)
    source = (fluid.filtration + fluid.drainage) / fluid.conductivity
    right = source * (here - balanced_pressure(fluid))
    left = bend + 2 / place * slope
    # second differences of a step of 1e-4 have lost eight digits to rounding
    assert_allclose(left, right, atol=2e-5 * np.abs(right).max() + 1e-6 * np.abs(bend).max()
                    + 1e-15 * np.abs(here).max() / step**2)  # fmt: skip
    assert_allclose(pressure_closed_form(fluid, np.array([fluid.radius])), fluid.surface,
                    atol=1e-9 * fluid.effective)  # fmt: skip
    # velocity is -K times that slope
    speed = velocity_closed_form(fluid, place)
    assert_allclose(speed, -fluid.conductivity * slope, rtol=1e-4,
                    atol=1e-6 * np.abs(speed).max() + 1e-15)  # fmt: skip


@pytest.mark.parametrize("fluid", SIZES)
def test_the_numerical_pressure_is_within_a_tenth_of_a_percent_everywhere(fluid):
    """0.1 % of the local pressure above the surface's, with 200 shells; the acceptance bound."""
    places = edges(fluid, 200)
    pressure, velocity = flow(fluid, places)
    exact = pressure_closed_form(fluid, centres(places))
    assert_allclose(pressure - fluid.surface, exact - fluid.surface, rtol=1e-3)
    speed = velocity_closed_form(fluid, places[1:])
    assert_allclose(velocity[1:], speed, atol=1e-3 * speed.max())
    assert velocity[0] == 0


def test_the_error_falls_with_the_square_of_the_shells_thickness():
    errors = []
    for shells in (50, 100, 200):
        places = edges(TUMOUR, shells)
        exact = pressure_closed_form(TUMOUR, centres(places))
        errors.append(np.abs(flow(TUMOUR, places)[0] - exact).max())
    ratios = np.array(errors[:-1]) / errors[1:]
    assert (ratios > 3.5).all()  # 4 in the limit


@pytest.mark.parametrize("fluid", SIZES)
def test_what_filters_in_leaves_through_the_surface_and_the_lymphatics(fluid):
    places = edges(fluid, 100)
    pressure, velocity = flow(fluid, places)
    volume = shell_volumes(places)
    filtered = volume @ (fluid.filtration * (fluid.effective - pressure))
    drained = volume @ (fluid.drainage * (pressure - fluid.lymphatic))
    out = 4 * np.pi * places[-1] ** 2 * velocity[-1]
    # of two large numbers that nearly cancel where no lymphatics drain
    assert_allclose(filtered - drained, out, rtol=1e-9)
    assert_allclose(volume.sum(), 4 / 3 * np.pi * fluid.radius**3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"radius": 0.0}, "radius is 0"),
        ({"conductivity": -1.0}, "conductivity"),
        ({"filtration": np.nan}, "filtration"),
        ({"effective": np.inf}, "effective"),
        ({"drainage": -1.0}, "drainage"),
        ({"radius": 1e9}, "radius"),
        ({"filtration": 1e3}, "is a unit off"),
    ],
)
def test_an_impossible_tumour_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        pressure_closed_form(TUMOUR._replace(**change), np.array([1.0]))


def test_places_outside_are_refused():
    with pytest.raises(InputError, match="outside"):
        pressure_closed_form(TUMOUR, np.array([11.0]))
    with pytest.raises(InputError, match="centre"):
        velocity_closed_form(TUMOUR, np.array([0.0]))
    with pytest.raises(InputError, match="shells"):
        edges(TUMOUR, 3)
