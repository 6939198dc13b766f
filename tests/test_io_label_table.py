"""Label tables: units, voids, counts, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from igdd.errors import IgddError, InputError, UnitsError
from igdd.io.label_table import joined, read

HEADER = "subject,time_h,place,activity [%],sd"


def table(folder: Path, rows, header=HEADER, name="table.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def test_times_are_seconds_and_activities_percent(tmp_path):
    found = read(table(tmp_path, [("a", 2, "Bone", 5, 0.5)]))
    assert_allclose(found.time, [7200])
    assert_allclose([found.activity[0], found.sd[0]], [5, 0.5])
    assert found.place == ("bone",)


def test_a_fraction_is_brought_to_percent_with_its_deviation(tmp_path):
    found = read(table(tmp_path, [("a", 2, "bone", 0.05, 0.005)],
                       "subject,time_h,place,activity [1],sd"))  # fmt: skip
    assert_allclose([found.activity[0], found.sd[0]], [5, 0.5])


def test_units_may_stand_beside_the_table_or_in_the_call(tmp_path):
    path = table(tmp_path, [("a", 30, "bone", 0.05, 0.005)], "animal,time,organ,activity,sd")
    with pytest.raises(UnitsError, match="time"):
        read(path)
    path.with_suffix(".json").write_text(
        json.dumps({"time": {"Units": "min"}, "activity": {"Units": "1"}})
    )
    beside = read(path)
    path.with_suffix(".json").unlink()
    called = read(path, time_unit="min", unit="1")
    for found in (beside, called):
        assert_allclose([found.time[0], found.activity[0], found.sd[0]], [1800, 5, 0.5])


def test_percent_id_names_its_own_unit(tmp_path):
    found = read(table(tmp_path, [("a", 1, "urine", 3, 0.1)], "subject,time_h,place,percent_id,sd"))
    assert found.activity[0] == 3


def test_counts_give_the_deviation_that_is_not_stated(tmp_path):
    rows = [("a", 1, "urine", 3, "", 900), ("a", 2, "urine", 4, 0.7, 900)]
    found = read(table(tmp_path, rows, HEADER + ",counts"))
    assert_allclose(found.sd, [3 / 30, 0.7])


def test_a_void_that_was_not_collected_has_only_its_time(tmp_path):
    found = read(table(tmp_path, [("a", 1, "void", "", "")]))
    assert np.isnan(found.activity[0])
    voids = read(table(tmp_path, [("a", 1, 2, 0.1)], "subject,time_h,activity [%],sd"), ())
    assert voids.place == ("void",)


def test_joined_rows_keep_a_subjects_group(tmp_path):
    first = read(table(tmp_path, [("a", 1, "bladder", 1, 0.1, "x")], HEADER + ",group"))
    voids = read(table(tmp_path, [("a", 2, 2, 0.1)], "subject,time_h,activity [%],sd"), ())
    both = joined(first, voids)
    assert both.group == ("x", "x")
    assert both.place == ("bladder", "void")


def test_other_units_stand_where_only_ratios_are_asked_for(tmp_path):
    found = read(table(tmp_path, [("a", 1, "tumour", 3, 0.1, "drug")],
                       "subject,time_h,place,activity [kBq/mL],sd,analyte"),
                 ("place", "analyte"), share=False)  # fmt: skip
    assert found.activity[0] == 3


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        (HEADER, ("a", 1, "bone", 5, ""), "line 2 has no standard deviation"),
        (HEADER, ("a", 1, "bone", 5, 0), "no standard deviation above 0"),
        (HEADER, ("a", 1, "bone", 5, -1), "no standard deviation above 0"),
        (HEADER, ("a", 1, "bone", "", 1), "line 2 has no activity"),
        (HEADER, ("a", "", "bone", 5, 1), "line 2 has no time"),
        (HEADER, ("a", -1, "bone", 5, 1), "before the dose"),
        (HEADER, ("", 1, "bone", 5, 1), "no subject"),
        (HEADER, ("a", 1, "", 5, 1), "no place"),
        (HEADER, ("a", 1, "bone", "5 %", 1), "expected a number"),
        (HEADER + ",dose", ("a", 1, "bone", 5, 1, 3), "column 'dose' is unknown"),
        (HEADER + ",organ", ("a", 1, "bone", 5, 1, "bone"), "are both place"),
        ("subject,time_h,place,activity [%]", ("a", 1, "bone", 5), "neither column sd"),
        ("subject,time_h,activity [%],sd", ("a", 1, 5, 1), "column place is missing"),
        (HEADER + ",sd_shared", ("a", 1, "bone", 5, 1, 2), "outside 0 to sd"),
        (HEADER + ",counts", ("a", 1, "bone", 5, "", 0), "no standard deviation"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_line(tmp_path, header, row, words):
    with pytest.raises(InputError, match=words):
        read(table(tmp_path, [row], header))


def test_an_activity_in_becquerel_is_refused(tmp_path):
    with pytest.raises(UnitsError):
        read(table(tmp_path, [("a", 1, "bone", 5, 1)], "subject,time_h,place,activity [Bq],sd"))


@pytest.mark.parametrize(
    "content", ["", "\0\0", HEADER, '"', "a;b\tc,d\n", HEADER + "\na,b", "x" * 9999]
)
def test_hostile_files_only_raise_our_errors(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(IgddError):
        read(path)
