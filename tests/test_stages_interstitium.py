"""`igdd interstitium`: pressure, penetration, balance, and hostile parameter files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import InputError, UnitsError
from igdd.kernels.interstitium import Fluid, edges, shell_volumes
from igdd.stages.interstitium import interstitium, penetration, text

GIVEN = """
radius = "5 mm"
interstitial_osmotic_pressure = "15 mmHg"
times = "1 h, 24 h, 72 h"
threshold = 0.1
[drug]
diffusion = "1e-7 cm2/s"
permeability = "1e-7 cm/s"
reflection = 0.9
surface = "outflow"
[plasma]
share = [0.5, 0.5]
half_life = ["2 h", "30 h"]
"""


def written(tmp_path, content=GIVEN):
    place = tmp_path / "tumour.toml"
    place.write_text(content)
    return place


def test_a_tumour_with_the_fluid_that_ships(tmp_path):
    found = interstitium(written(tmp_path))
    fluid = found["fluid"]
    # pv - sT (piv - pi) = 15.6 - 0.82 x (20 - 15)
    assert_allclose(fluid["balanced_pressure"]["value"], 11.5, rtol=1e-9)
    assert_allclose(fluid["hydraulic_number"], 0.5 * np.sqrt(2.8e-7 * 200 / 4.13e-8), rtol=1e-9)
    assert fluid["against_closed_form"] < 1e-3  # acceptance: 0.1 %
    assert found["mass_error"] < 1e-6
    json.dumps(found)
    assert "11.5 mmHg" in text(found)
    # u(R) = K p0 (a coth a - 1) / R
    a = fluid["hydraulic_number"]
    speed = 4.13e-8 * 11.5 * (a / np.tanh(a) - 1) / 0.5 * 1e4  # um/s
    assert_allclose(fluid["surface_velocity"]["value"], speed, rtol=1e-3)


def test_elasticities_are_those_of_two_calls_apart(tmp_path):
    rows = {
        row["parameter"]: row
        for row in interstitium(written(tmp_path))["elasticities"]
        if row["outcome"] == "mean"
    }
    means = []
    for factor in (1.01, 0.99):
        content = GIVEN.replace('"1e-7 cm/s"', f'"{1e-7 * factor} cm/s"')
        means.append(interstitium(written(tmp_path, content))["penetration"][-1]["mean"])
    slope = np.log(means[0] / means[1]) / np.log(1.01 / 0.99)
    # second order of a step of one percent, and the solver's 1e-6 over it
    assert_allclose(rows["permeability"]["elasticity"], slope, atol=1e-3)


def test_penetration_of_a_known_profile():
    """C = r / R: mean 3/4, spread 3/5 - 9/16; above a half: 7/8 of the volume."""
    fluid = Fluid(radius=2.0, conductivity=1.0, filtration=1.0, effective=1.0)
    places = edges(fluid, 4000)
    profile = (places[1:] + places[:-1]) / 2 / 2.0
    found = penetration(profile, places, threshold=0.5)
    assert_allclose(found["mean"], 0.75, rtol=1e-5)
    assert_allclose(found["cv"], np.sqrt(0.6 - 0.5625) / 0.75, rtol=1e-4)
    assert_allclose(found["coverage"], 0.875, atol=1e-3)  # a shell's share
    assert_allclose(found["deepest_reached"], 1.0, atol=1e-3)
    assert_allclose(found["rim"], 0.75 * (1 - 0.9**4) / (1 - 0.9**3), rtol=1e-4)
    assert_allclose(shell_volumes(places).sum(), 4 / 3 * np.pi * 8)


def test_a_tumour_without_drug_has_no_ratio():
    places = edges(Fluid(radius=1.0, conductivity=1.0, filtration=1.0, effective=1.0), 20)
    found = penetration(np.zeros(20), places, threshold=0.1)
    assert found["coverage"] == 0
    for name in ("cv", "centre_over_rim", "deepest_reached"):
        assert np.isnan(found[name])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('radius = "5 mm"', "radius = 5", "has no unit"),
        ('radius = "5 mm"', "", "radius is missing"),
        ('radius = "5 mm"', 'radius = "0 mm"', "radius is 0"),
        ('radius = "5 mm"', 'radius = "5 km"', r"radius is 5e\+06"),
        ('radius = "5 mm"', 'radius = "5 h"', "does not convert"),
        ('radius = "5 mm"', "radius = true", "bool"),
        ('interstitial_osmotic_pressure = "15 mmHg"', "", "osmotic_pressure is missing"),
        ('times = "1 h, 24 h, 72 h"', "", "times is missing"),
        ("threshold = 0.1", "threshold = -1", "above 0"),
        ("threshold = 0.1", "threshhold = 0.1", "is unknown"),
        ('diffusion = "1e-7 cm2/s"', "", "diffusion is missing"),
        ('diffusion = "1e-7 cm2/s"', 'diffusion = "0 cm2/s"', "diffusion is 0"),
        ("reflection = 0.9", "reflection = 1.9", "0 to 1"),
        ('surface = "outflow"', "", "surface"),
        ('surface = "outflow"', 'surface = "open"', "outflow or washed"),
        ('surface = "outflow"', 'surface = "outflow"\nsize = 3', "unknown"),
        ("share = [0.5, 0.5]", "share = [0.5, 0.4]", "sum to 1"),
        ("share = [0.5, 0.5]", "share = [0.5]", "as many"),
        ("share = [0.5, 0.5]", "share = 3", "as many"),
        ('half_life = ["2 h", "30 h"]', 'half_life = ["2 h", 30]', "has no unit"),
        ("[plasma]", "[plasm]", "is unknown"),
        ("[drug]", "[drug", "not TOML"),
    ],
)
def test_a_wrong_file_is_an_error_that_says_where(tmp_path, old, new, message):
    with pytest.raises((InputError, UnitsError), match=message):
        interstitium(written(tmp_path, GIVEN.replace(old, new)))


@pytest.mark.parametrize(
    "content", ["x = " + "[" * 9000, "a." * 4000 + "b = 1", "\x00", "y" * 100_000, ""]
)
def test_a_hostile_file_is_an_error(tmp_path, content):
    with pytest.raises((InputError, UnitsError)):
        interstitium(written(tmp_path, content))


def test_bytes_that_are_no_text_and_no_file_are_errors(tmp_path):
    place = tmp_path / "tumour.toml"
    place.write_bytes(b"\xff\xfe\x00radius")
    with pytest.raises(InputError):
        interstitium(place)
    with pytest.raises(InputError):
        interstitium(tmp_path / "none.toml")
