"""Uptake tables: what is read, in which unit, and what is refused with its line."""

from __future__ import annotations

import re

import numpy as np
import pytest

from igdd import catalog
from igdd.errors import InputError, UnitsError
from igdd.facts import Agent, Subject
from igdd.io.uptake_table import read, sniff
from igdd.modalities.uptake_table import of_subject

GOOD = "subject,region,time_h,percent_id,percent_id_sd,mass_mg\nm1,liver,24,10,0.5,1500\n"


def table(folder, text):
    path = folder / "uptake.csv"
    path.write_text(text)
    return path


def test_a_row_is_read_in_seconds_and_grams(tmp_path):
    path = table(tmp_path, GOOD)
    assert sniff(path)
    (row,) = read(path).to_dict("records")
    assert (row["time"], row["mass"], row["percent_id"]) == (86400.0, 1.5, 10.0)
    assert row["analyte"] == "label"


def test_a_weighed_region_gives_the_other_scale(tmp_path):
    values = of_subject(read(table(tmp_path, GOOD)), Subject(id="m1"), Agent())
    found = {one.metric: one for one in values}
    assert found["percent_id_per_g"].estimate.value == pytest.approx(10 / 1.5)
    assert found["percent_id_per_g"].estimate.sd == pytest.approx(0.5 / 1.5)
    assert "mass_sd_unknown" in found["percent_id_per_g"].flags


def test_two_analytes_of_a_region_stand_apart(tmp_path):
    text = "animal,organ,time_h,percent_id_per_g,analyte\nm1,a,1,2,carrier\nm1,a,1,3,drug\n"
    values = of_subject(read(table(tmp_path, text)), Subject(id="m1"), Agent())
    assert [(one.analyte, one.estimate.value) for one in values] == [("carrier", 2), ("drug", 3)]


def test_an_empty_cell_is_no_value(tmp_path):
    text = "subject,region,time_h,percent_id,percent_id_per_g\nm1,a,1,2,\nm1,b,1,,\n"
    read_ = read(table(tmp_path, text))
    assert np.isnan(read_["percent_id_per_g"]).all()
    assert len(of_subject(read_, Subject(id="m1"), Agent())) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("subject,region,time,percent_id\nm1,a,1,2\n", "'time' has no unit"),
        ("subject,region,time_mg,percent_id\nm1,a,1,2\n", "time_mg"),
        ("subject,region,time_h,percent_id\nm1,a,1,1e14\n", "at most 1000 % of the dose"),
        ("subject,region,time_h,percent_id\nm1,a,1,\nm1,b,1,nan\n", "expected one in some row"),
        ("subject,region,time_h\nm1,a,1\n", "percent_id or percent_id_per_g is missing"),
        ("region,time_h,percent_id\na,1,2\n", "subject is missing"),
        ("subject,region,time_h,percent_id,x\nm1,a,1,2,3\n", "'x' is unknown"),
        ("subject,animal,region,time_h,percent_id\nm1,m1,a,1,2\n", "are both subject"),
        ("subject,region,time_h,percent_id\nm1,a,-1,2\n", "line 2: time is -3600"),
        ("subject,region,time_h,percent_id\nm1,a,,2\n", "line 2: time is nan"),
        ("subject,region,time_h,percent_id\n,a,1,2\n", "line 2 has no subject"),
        ("subject,region,time_h,percent_id\nm1,a,1,2\nm1,a,1,3\n", "line 3: a of subject m1"),
        ("subject,region,time_h,percent_id,mass_g\nm1,a,1,2,0\n", "mass is 0"),
        ("subject,region,time_h,percent_id,percent_id_sd\nm1,a,1,2,-1\n", "percent_id_sd is -1"),
        ("subject,region,time_h,percent_id,analyte\nm1,a,1,2,dye\n", "analyte is dye"),
        ("subject,region,time_h,percent_id\nm1,a,1,much\n", "much"),
        ("subject,region,time_h,percent_id\n", "holds no row"),
    ],
)
def test_a_wrong_table_says_where_and_what(tmp_path, text, said):
    with pytest.raises((InputError, UnitsError), match=re.escape(said)):
        read(table(tmp_path, text))


def test_a_subject_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"'m2'.*m1"):
        of_subject(read(table(tmp_path, GOOD)), Subject(id="m2"), Agent())


def test_the_catalogue_knows_the_table(tmp_path):
    assert catalog.read_table(table(tmp_path, GOOD), "uptake_table").shape[0] == 1
