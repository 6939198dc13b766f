"""`igdd uptake-model`: published sizes, gains, what would explain an uptake, and elasticities."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.cli_app import plain
from igdd.errors import InputError, UnitsError
from igdd.stages.uptake_model import text, uptake_model
from igdd.stages.uptake_setting import Setting, elasticities

MAN = {"radius": "50 nm", "half_life": ["76.1 h"], "plasma_volume": "3 L", "time": "72 h"}
MOUSE = {"radius": "50 nm", "half_life": ["10.3 h"], "plasma_volume": "1 mL", "time": "24 h"}


def test_the_reality_check_in_patients():
    found = uptake_model(**MAN)
    assert_allclose(found["uptake_rate_per_h"], 0.00256, atol=5e-6)
    assert_allclose(found["return_rate_per_h"], 0.0567, atol=5e-5)
    kept = found["uptake"]
    assert_allclose(kept["reversible"]["percent_id_per_kg"], 0.90, atol=0.005)
    assert_allclose(kept["reversible"]["time_of_maximum_h"], 38, atol=0.5)
    assert_allclose(kept["trapped"]["percent_id_per_kg"], 4.51, atol=0.005)
    assert np.isinf(kept["trapped"]["time_of_maximum_h"])


def test_the_reality_check_in_mice():
    kept = uptake_model(**MOUSE)["uptake"]
    assert_allclose(kept["reversible"]["percent_id_per_g"], 1.39, atol=0.005)
    assert_allclose(kept["trapped"]["percent_id_per_g"], 3.05, atol=0.005)


@pytest.mark.parametrize(("seen", "gain"), [(5.3, 1.2), (18.3, 4.1), (33.0, 7.3)])
def test_gains_of_three_tumours(seen, gain):
    found = uptake_model(**MAN, observed=f"{seen} %ID/kg", sd="1 %ID/kg")
    assert_allclose(found["observed"]["gain_over_trapped"], gain, atol=0.05)
    assert found["observed"]["trap_rate_that_explains_per_h"] is None
    assert "more got in" in text(found)
    json.dumps(plain(found))


def test_the_trapping_that_explains_an_uptake_gives_it():
    rate = uptake_model(**MAN, observed="2 %ID/kg")["observed"]["trap_rate_that_explains_per_h"]
    again = uptake_model(**MAN, trap=f"{rate!r} 1/h")
    assert_allclose(again["uptake"]["as_stated"]["percent_id_per_kg"], 2.0, rtol=1e-9)


def test_too_little_is_explained_by_no_trapping():
    found = uptake_model(**MAN, observed="0.1 %ID/kg")
    assert found["observed"]["trap_rate_that_explains_per_h"] is None
    assert "less got in" in found["answer"]


def test_units_change_nothing():
    one = uptake_model(**MAN)
    other = uptake_model(
        radius="0.05 um", half_life=["4566 min"], plasma_volume="3000 mL", time="3 d"
    )
    assert_allclose(
        one["uptake"]["as_stated"]["percent_id_per_g"],
        other["uptake"]["as_stated"]["percent_id_per_g"],
        rtol=1e-9,
    )


def test_exponentials_add_by_their_shares():
    both = uptake_model(**MOUSE | {"half_life": ["1.1 h", "10.3 h"]}, share=[0.4, 0.6])
    parts = [uptake_model(**MOUSE | {"half_life": [one]}) for one in ("1.1 h", "10.3 h")]
    held = [one["uptake"]["as_stated"]["percent_id_per_g"] for one in (both, *parts)]
    assert_allclose(held[0], 0.4 * held[1] + 0.6 * held[2], rtol=1e-12)


def test_a_protein_is_known_by_its_mass():
    found = uptake_model(**MOUSE | {"radius": None}, mass="150 kDa")
    assert_allclose(found["radius_nm"], 0.912 * 150**0.333)
    assert_allclose(found["permeability_cm_per_s"], 3.86e-7, rtol=0.01)


def test_elasticities_have_their_closed_forms():
    setting = Setting(radius=50.0, half_lives=(76.1,), shares=(1.0,), plasma=3000.0)
    found = elasticities(setting, 72.0)
    rate, back = np.log(2) / 76.1, setting.rate / setting.open
    # A = W (exp(-k t) - exp(-o t)) / (o - k), o = W / eps: by hand
    slope = 72.0 * np.exp(-back * 72) / (np.exp(-rate * 72) - np.exp(-back * 72)) - 1 / (
        back - rate
    )
    assert_allclose(found["permeability"], 1 + back * slope, atol=1e-6)
    assert_allclose(found["void_fraction"], -back * slope, atol=1e-6)
    assert_allclose(found["plasma_volume"], -1.0, atol=1e-6)
    assert_allclose(found["capillary_radius"], found["permeability"], atol=1e-6)
    assert_allclose(found["krogh_radius"], -2 * found["permeability"], atol=1e-6)


def test_what_is_trapped_is_limited_by_the_wall():
    found = uptake_model(**MOUSE, trap="all")
    assert_allclose(found["elasticity"]["permeability"], 1.0, atol=1e-6)
    assert_allclose(found["elasticity"]["void_fraction"], 0.0, atol=1e-6)
    assert found["limited_by"] == "the wall"
    # Long in plasma and free to leave: in balance with it, whatever the wall.
    assert uptake_model(**MAN)["limited_by"] == "what is kept"


def test_where_nothing_is_left_nothing_is_said_to_limit_it():
    found = uptake_model(**MAN | {"half_life": ["0.001 h"], "time": "1e5 h"})
    assert found["uptake"]["as_stated"]["percent_id_per_g"] == 0
    assert found["limited_by"] is None
    assert "nothing is left" in text(found)
    assert "nan" not in text(found)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"radius": None}, "neither"),
        ({"mass": "150 kDa"}, "both"),
        ({"radius": "0 nm"}, "radius is"),
        ({"radius": "5 mm"}, "radius is"),
        ({"radius": None, "mass": "-3 kDa"}, "mass is"),
        ({"half_life": []}, "no half-life"),
        ({"half_life": ["0 h"]}, "half-life is"),
        ({"half_life": ["1 h", "2 h"]}, "0 shares for 2"),
        ({"half_life": ["1 h", "2 h"], "share": [0.5, 0.6]}, "add up"),
        ({"half_life": ["1 h", "2 h"], "share": [1.5, -0.5]}, "expected one of 0 to 1"),
        ({"plasma_volume": "0 mL"}, "plasma-volume is"),
        ({"time": "-1 h"}, "time is"),
        ({"trap": "-1 1/h"}, "trap is"),
        ({"antigen_over_kd": -1.0}, "antigen-over-kd"),
        ({"antigen_over_kd": float("nan")}, "antigen-over-kd"),
        ({"void": 0.0}, "void is"),
        ({"void": 1.5}, "void is"),
        ({"krogh_radius": "5 um"}, "within the capillary"),
        ({"observed": "-5 %ID/g"}, "observed is"),
        ({"observed": "0 %ID/g"}, "above zero"),
        ({"observed": "5 %ID/g", "sd": "-1 %ID/g"}, "sd is"),
        ({"sd": "1 %ID/g"}, "without an observed"),
        ({"release": "0.1 1/h"}, "release without trap"),
        ({"internalisation": "0.1 1/h"}, "without antigen-over-kd"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        uptake_model(**MAN | call)


@pytest.mark.parametrize(
    "call", [{"radius": "50"}, {"time": "72"}, {"plasma_volume": "3 kg"}, {"trap": "0.1"},
             {"observed": "5 mg"}, {"radius": None, "mass": "heavy"}]
)  # fmt: skip
def test_texts_without_their_unit_are_refused(call):
    with pytest.raises(UnitsError):
        uptake_model(**MAN | call)
