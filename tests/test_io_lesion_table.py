"""Lesion tables: read strictly, brought to mm, and judged by the comparison `response`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from igdd.comparisons.response import read_contrast, response
from igdd.errors import InputError
from igdd.facts import Agent, Subject
from igdd.io.lesion_table import read, sniff
from igdd.modalities.lesion_readings import of_subject
from igdd.results import COLUMNS


def written(folder, text, name="visit.csv"):
    path = folder / name
    path.write_text(text)
    return path


def test_lengths_come_in_millimetres_and_status_as_its_number(tmp_path):
    path = written(
        tmp_path,
        "Subject,lesion,longest_diameter_cm,short_axis_mm,attenuation_HU,status,note\n"
        "007,a,2.5,12,80,,x\n007,b,,,,Progressed,\n",
    )
    table = read(path)
    assert table["subject"].tolist() == ["007", "007"]
    assert table["longest_diameter"].tolist()[0] == 25
    assert table["short_axis"].tolist()[0] == 12
    assert table["attenuation"].tolist()[0] == 80
    assert np.isnan(table["status"].tolist()[0])
    assert table["status"].tolist()[1] == 2
    assert sniff(path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("subject,lesion,girth\n1,a,3\n", "unknown"),
        ("subject,lesion\n1,a\n", "missing"),
        ("lesion,status\na,absent\n", "subject is missing"),
        ("subject,lesion,longest_diameter_mm\n1,a,-3\n", "0 or"),
        ("subject,lesion,longest_diameter_mm\n1,a,big\n", "expected a number"),
        ("subject,lesion,longest_diameter_mm,longest_diameter_cm\n1,a,3,4\n", "both"),
        ("subject,lesion,status\n1,a,gone\n", "expected absent"),
        ("subject,lesion,status\n1,a,absent\n1,a,present\n", "twice"),
        ("subject,lesion,status\n1,,absent\n", "no lesion"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, text, match):
    with pytest.raises(InputError, match=match):
        read(written(tmp_path, text))


def test_other_tables_are_not_taken_for_it(tmp_path):
    assert not sniff(written(tmp_path, "kind,organ,counts\n"))
    assert not sniff(tmp_path / "none.csv")
    assert not sniff(written(tmp_path, "\0\0", "x.csv"))


def rows_of(table, session):
    values = of_subject(table, Subject(id="1"), Agent())
    return [one.row("1", session, "") for one in values]


def test_readings_of_two_visits_are_judged(tmp_path):
    base = read(
        written(tmp_path, "subject,lesion,longest_diameter_mm,status\n1,a,40,\n1,b,,present\n")
    )
    later = read(
        written(tmp_path, "subject,lesion,longest_diameter_mm,status\n1,a,28,\n1,b,,absent\n")
    )
    table = pd.DataFrame([*rows_of(base, "v0"), *rows_of(later, "v1")], columns=list(COLUMNS))
    found = response(
        table, criterion="recist_1_1", kinds={"a": "lesion", "b": "lesion"}, sessions=("v0", "v1")
    )
    assert [read_contrast(one).response for one in found["contrast"]] == ["PR", "PR"]


def test_a_subject_that_the_table_lacks_is_refused(tmp_path):
    table = read(written(tmp_path, "subject,lesion,status\n1,a,absent\n"))
    with pytest.raises(InputError, match="no subject '2'"):
        of_subject(table, Subject(id="2"), Agent())
