"""What `igdd pbpk` reads: files with units, and errors that say where for all others."""

from __future__ import annotations

import pytest

from igdd.errors import InputError, UnitsError
from igdd.kernels.nanoparticle_pbpk import UNITS
from igdd.stages.pbpk import pbpk
from igdd.stages.pbpk_inputs import (
    mouse,
    prior_table,
    read_observed,
    read_parameters,
    read_studies,
    read_times,
)


def test_parameters_of_a_file_change_the_mouse(tmp_path):
    place = tmp_path / "mine.toml"
    place.write_text('body_weight = "0.03 kg"\n[tumour]\nuptake_half_time = "30 min"\n'
                     "permeability = 0.01\n")  # fmt: skip
    found = read_parameters(place)
    assert found["body_weight"] == 30.0
    assert found["tumour.uptake_half_time"] == 0.5
    assert found["tumour.permeability"] == 0.01
    assert found["liver.partition"] == mouse()["liver.partition"]
    assert set(found) == set(UNITS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("body_weight = 20.0", "has no unit"),
        ('body_weight = "20 h"', "does not convert"),
        ('cardiac_output = "16.5 L/h"', r"kg\^0.75"),
        ("[tumour]\nsize = 3", "tumour.size is no parameter"),
        ("weight = 3", "weight is no parameter"),
        ("[tumour]\npermeability = nan", "finite|number"),
        ("[tumour]\npermeability = [1]", "list"),
        ("[tumour]\npermeability = true", "bool"),
        ("[tumour", "not TOML"),
        ("x = " + "[" * 5000, "not TOML"),
        ("a." * 4000 + "b = 1", "64 parts"),
        ("x = 1\n" * 20_000, "at most|more than"),
    ],
)
def test_a_wrong_parameter_file_is_an_error_that_says_where(tmp_path, content, message):
    place = tmp_path / "mine.toml"
    place.write_text(content)
    with pytest.raises((InputError, UnitsError), match=message):
        pbpk(place, times="1 h")


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("study,tumour.permeability", ["a,0.1", "a,0.2"], "two rows"),
        ("study,tumour.permeability", ["a,"], "has no tumour.permeability"),
        ("study,tumour.permeability", ["a,x"], "expected a number"),
        ("study,tumour.permeability", ["a,-1"], "at least 0"),
        ("study,tumour.permeabilty", ["a,1"], "is no parameter"),
        ("study,tumour.release", ["a,1"], "has no unit"),
        ("study,tumour.release [g]", ["a,1"], "does not convert"),
        ("study,note", ["a,1"], "no column is a parameter"),
        ("tumour.permeability", ["1"], "columns study and ID"),
        ("study,ID,tumour.permeability", ["a,b,1"], "columns study and ID"),
        ("study,PATC,tumour.permeability", ["a,1,1"], "are both"),
        ("study,tumour.volume_fraction", ["a,0.9"], "leave"),
    ],
)
def test_a_wrong_table_of_studies_is_an_error_that_says_where(tmp_path, header, rows, message):
    place = tmp_path / "studies.csv"
    place.write_text("\n".join([header, *rows]) + "\n")
    with pytest.raises((InputError, UnitsError), match=message):
        pbpk(table=place, times="1 h")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("study,time,percent_id [%]\n1,1,1\n", "has no unit"),
        ("study,time [h],percent_id [mg]\n1,1,1\n", "does not convert"),
        ("study,time [h]\n1,1\n", "percent_id is missing"),
        ("study,time [h],percent_id [%]\n1,-1,1\n", "missing, negative"),
        ("study,time [h],percent_id [%]\n1,,1\n", "missing, negative"),
        ("study,time [h],percent_id [%]\n1,1e9,1\n", "beyond"),
        ("study,time [h],percent_id [%],sd [%]\n1,1,1,0\n", "sd of 0"),
        ("study,time [h],percent_id [%]\n1,1,0\n1,2,-1\n", "no observation"),
        ("study,time [h],percent_id [%]\na,1,1\nb,1,1\n", "not among"),
    ],
)
def test_wrong_observations_are_an_error_that_says_where(tmp_path, content, message):
    place = tmp_path / "seen.csv"
    place.write_text(content)
    with pytest.raises((InputError, UnitsError), match=message):
        pbpk(observed=place, times="1 h")


@pytest.mark.parametrize("wanted", ["", "1", "2 h, 1 h", "-1 h", "1e9 h", "1 h,1 h", "1 kg"])
def test_wrong_times_are_refused(wanted):
    with pytest.raises((InputError, UnitsError)):
        read_times(wanted)


def test_a_table_with_units_of_its_own_is_converted(tmp_path):
    place = tmp_path / "studies.csv"
    place.write_text("study,body_weight [kg],tumour.uptake_half_time [min],note\na,0.03,90,x\n")
    studies = read_studies(place, mouse())
    assert studies.parameters["body_weight"] == [30.0]
    assert studies.parameters["tumour.uptake_half_time"] == [1.5]
    assert studies.parameters["liver.partition"] == [mouse()["liver.partition"]]


def test_observations_in_any_order_come_sorted(tmp_path):
    place = tmp_path / "seen.csv"
    place.write_text("ID,time [d],percent_id [1],sd [1]\n1,1,0.02,0.001\n1.0,0.5,0.01,0.002\n")
    seen = read_observed(place)
    assert list(seen) == ["1"]
    assert seen["1"].time.tolist() == [12.0, 24.0]
    assert seen["1"].value.tolist() == [1.0, 2.0]
    assert seen["1"].sd.tolist() == [0.2, 0.1]


def test_the_files_that_ship_are_complete():
    assert set(mouse()) == set(UNITS)
    assert len(prior_table()["parameters"]) == 6
