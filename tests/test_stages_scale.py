"""`igdd scale`: every scale of one uptake, other bodies, other parameters, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.cli_app import plain
from igdd.errors import InputError, UnitsError
from igdd.stages.scale import scale, text

PLASMA = {
    "radius": "50 nm", "half_life": "10.3 h", "plasma_volume": "1 mL", "time": "24 h",
    "to_half_life": "76.1 h", "to_plasma_volume": "3 L", "to_time": "72 h",
}  # fmt: skip
BODIES = {"weight": "25 g", "to_weight": "70 kg"}


def side(found) -> dict:
    return {name: one["value"] for name, one in found["side_by_side"].items()}


@pytest.mark.parametrize("value", ["33 %ID/kg", "0.033 %ID/g", "0.033 %ID/mL", "23.1 SUV"])
def test_every_scale_says_the_same(value):
    found = side(scale(value=value, weight="70 kg", mass="36.2 g"))
    assert_allclose(found["percent_id_per_kg"], 33.0, rtol=1e-12)
    assert_allclose(found["suvbw"], 23.1, rtol=1e-12)
    assert_allclose(found["percent_id"], 1.19, atol=0.005)


def test_drug_is_flagged_unless_the_label_is_on_it():
    plainly = scale(value="5.5 %ID/g", sd="1 %ID/g", dose="0.2 mg")
    assert_allclose(side(plainly)["drug_concentration"], 11.0)
    assert plainly["flags"] == ["dose_equivalent"]
    assert scale(value="5 %/g", sd="1 %/g", dose="1 mg", label_on="drug")["flags"] == []


def test_sd_is_carried_to_every_scale():
    found = scale(value="5.5 %ID/g", sd="550 %ID/kg", weight="25 g")["side_by_side"]
    assert all(abs(one["sd"] / one["value"] - 0.1) < 1e-12 for one in found.values())


def test_another_body_has_bands_that_hold_what_was_seen():
    found = scale(value="5.5 %ID/g", sd="3 %ID/g", **BODIES, **PLASMA)
    prediction = found["prediction"]
    for one in (prediction["by_exposure"], prediction["by_permeability"]["trapped"]):
        band = one["percent_id_per_kg"]
        assert band["low"] < 5.3 < 33.0 < band["high"]
    assert_allclose(prediction["equal_suv"]["suvbw"]["value"], 1.375, rtol=1e-9)
    assert_allclose(prediction["equivalent_time"]["value"], 24 * 2800**0.26)
    assert "by permeability, trapped" in text(found)
    json.dumps(plain(found))


def test_the_gain_and_its_scatter_can_be_stated():
    one = scale(value="5.5 %ID/g", **BODIES, exponent=0.74, exponent_sd=0.0, gain_fold=1.0)
    band = one["prediction"]["by_exposure"]["percent_id_per_kg"]
    assert_allclose([band["low"], band["high"]], band["value"])
    other = scale(value="5.5 %ID/g", **BODIES, exponent=0.74, gain=3.0, gain_fold=2.0)
    wider = other["prediction"]["by_exposure"]["percent_id_per_kg"]
    assert_allclose(wider["value"], 3 * band["value"])
    assert_allclose(wider["sd_of_ln"], np.log(2.0))


def test_parameters_scale_by_their_own_exponents():
    found = {
        name: scale(value=value, parameter=name, **BODIES)["prediction"]
        for name, value in (("clearance", "2 mL/h"), ("volume", "1 mL"), ("half_life", "10.3 h"))
    }
    assert_allclose(found["clearance"]["value"], 2 * 2800**0.74)
    assert_allclose(found["volume"]["value"], 2800.0)
    assert_allclose(found["half_life"]["value"], 81.1, atol=0.05)
    assert found["half_life"]["low"] < 76.1 < found["half_life"]["high"]


def test_an_exponent_is_fitted_over_species(tmp_path):
    path = tmp_path / "cl.csv"
    weights = (0.025, 0.25, 10.0, 30.0)
    lines = [f"s{place},{one},{3 * one**0.7}" for place, one in enumerate(weights)]
    path.write_text("species,weight [kg],value [mL/h]\n" + "\n".join(lines) + "\n")
    found = scale(path, parameter="clearance", to_weight="70 kg")
    assert_allclose(found["exponent"]["value"], 0.7, rtol=1e-9)
    assert_allclose(found["prediction"]["value"], 3 * 70**0.7, rtol=1e-9)
    assert found["prediction"]["unit"] == "mL/h"
    assert found["extrapolated"]


HEAD = "species,weight [kg],value [mL/h]\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        (HEAD + "a,1,2\nb,2,3\n", "at least 3"),
        (HEAD + "a,1,2\nb,1,3\nc,1,4\n", "1 different weights"),
        (HEAD + "a,1,2\nb,1.0000001,3\nc,1.0000002,4\n", "differ by more than"),
        (HEAD + ",1,2\nb,2,3\nc,3,4\n", "line 2 names no species"),
        ("species,weight [kg],value [h]\na,1,2\nb,2,3\nc,3,4\n", "column 'value .h.'"),
        ("species,weight [kg],value [zork]\na,1,2\nb,2,3\nc,3,4\n", "column 'value .zork.'"),
        (HEAD + "a,1,2\nb,2,-3\nc,3,4\n", "above zero"),
        (HEAD + "a,1,2\nb,2,\nc,3,4\n", "missing or not"),
        ("species,weight,value [mL/h]\na,1,2\n", "states no unit"),
        ("species,weight [h],value [mL/h]\na,1,2\nb,2,3\nc,3,4\n", "column 'weight .h.'.*convert"),
        ("species,weight [kg]\na,1\n", "value is missing"),
        ("species,weight [kg],value [mL/h],sd\na,1,2,3\n", "unknown or doubled"),
    ],
)
def test_tables_that_fit_no_exponent_are_refused(tmp_path, content, message):
    path = tmp_path / "x.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises((InputError, UnitsError), match=message):
        scale(path, parameter="clearance")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({}, "no value and no table"),
        ({"value": "5.5"}, "no scale of uptake"),
        ({"value": "5.5 mg"}, "no scale of uptake"),
        ({"value": "1.4 SUV"}, "expected the body's weight"),
        ({"value": "-1 %/g"}, "expected 1e-12"),
        ({"value": "0 %/g"}, "expected 1e-12"),
        ({"value": "5 %/g", "sd": "-1 %/g"}, "times the value"),
        ({"value": "5 %/g", "sd": "1"}, "no unit"),
        ({"value": "5 %/g", "weight": "25"}, "no unit"),
        ({"value": "5 %/g", "weight": "0 g"}, "weight is"),
        ({"value": "5 %/g", "to_weight": "70 kg"}, "without weight"),
        ({"value": "5 %/g", **BODIES, "gain": 0.0}, "gain is"),
        ({"value": "5 %/g", **BODIES, "gain_fold": 0.5}, "gain-fold"),
        ({"value": "5 %/g", **BODIES, "exponent": 9.0}, "expected an exponent"),
        ({"value": "5 %/g", **BODIES, "exponent_sd": 0.1}, "without its exponent"),
        ({"value": "5 %/g", **BODIES, "exponent": float("nan")}, "expected an exponent"),
        ({"value": "5 %/g", **BODIES, "half_life": "3 h"}, "needs the radius"),
        ({"value": "5 %/g", **BODIES, **PLASMA, "radius": None}, "needs the radius"),
        ({"value": "5 %/g", **BODIES, "to_time": "3 h"}, "needs the radius"),
        ({"value": "5 %/g", "radius": "50 nm"}, "without to-weight"),
        ({"value": "5 %/g", **BODIES, "time": "-3 h"}, "is its unit right"),
        ({"value": "50 %/g", "mass": "30 g"}, "of the dose"),
        ({"value": "5 %/g", "dose": "1 mg", "label_on": "moon"}, "label-on"),
        ({"value": "5 %/g", "dose": "-1 mg"}, "dose is"),
        ({"value": "5 %/g", "density": "0 g/mL"}, "density is"),
        ({"value": "5 %/g", "density": ""}, "density"),
        ({"value": "5 %/g", "weight": "25"}, "weight: '25'"),
        ({"value": "5 %/g", "gain": 2.0}, "gain without to-weight"),
        ({"value": "5 %/g", "exponent": 0.7}, "exponent without to-weight"),
        ({"value": "5 %/g", "to_half_life": "5 h"}, "to-half-life without to-weight"),
        ({"value": "5 %/g", "label_on": "moon"}, "label-on"),
        ({"value": "2 mL/h", "parameter": "clearance", **BODIES, "mass": "1 g"}, "no use of mass"),
        ({"value": "2 h", "parameter": "clearance", **BODIES}, "no unit of clearance"),
        ({"value": "2 mL/h", "parameter": "volume", **BODIES}, "no unit of volume"),
        ({"value": "2 mL/h", "parameter": "half_life", **BODIES}, "no unit of half_life"),
        # Per body weight it would scale by the exponent less one.
        ({"value": "2 mL/(h.kg)", "parameter": "clearance", **BODIES}, "multiply by the weight"),
        ({"value": "2 L/kg", "parameter": "volume", **BODIES}, "multiply by the weight"),
        (
            {"value": "5 %/g", **BODIES, **PLASMA, "half_life": "0.001 h", "time": "1e5 h"},
            "nothing is left in the body measured",
        ),
        ({"value": "2 mL/h", "parameter": "colour", **BODIES}, "not known"),
        ({"value": "2 mL/h", "parameter": "clearance"}, "both"),
        ({"parameter": "clearance", **BODIES}, "either --value"),
        ({"value": "2", "parameter": "clearance", **BODIES}, "no unit"),
        ({"value": "-2 mL/h", "parameter": "clearance", **BODIES}, "above zero"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises((InputError, UnitsError), match=message):
        scale(**call)


def test_a_table_needs_its_parameter_and_no_value(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(HEAD + "a,1,2\nb,2,3\nc,3,4\n", encoding="utf-8")
    for call in ({"sd": "1 mL/h"}, {"weight": "25 g"}, {"mass": "1 g"}):
        with pytest.raises(InputError, match="table of species has no use of"):
            scale(path, parameter="clearance", **call)
    with pytest.raises(InputError, match="expected --parameter"):
        scale(path)
    with pytest.raises(InputError, match="expected --parameter"):
        scale(path, parameter="clearance", value="2 mL/h")
