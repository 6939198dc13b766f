"""Difference: nothing between equal results, everything between unequal ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from igdd.errors import InputError
from igdd.results import COLUMNS
from igdd.stages.difference import difference


def measurements() -> pd.DataFrame:
    """Four rows, one of them without a value, one with a word that pandas would take for NaN."""
    rows = [
        (subject, "24h", arm, time, "label", region, "percent_id", value, 0.1, 0.05, 1.0, 3.0,
         "%", flags, "NA")
        for subject, arm, time, region, value, flags in (
            ("01", "plain", 86400.0, "liver", 0.1 + 0.2, ""),
            ("01", "plain", 86400.0, "NA", 2.0, "nan_voxels"),
            ("02", "targeted", 86460.0, "liver", np.nan, "empty_region"),
            ("02", "targeted", np.nan, "urine", 12.0, ""),
        )
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.fixture
def folder(tmp_path):
    """A function that writes a table as a folder of results."""

    def write(name, table, kind="csv"):
        place = tmp_path / name
        place.mkdir()
        if kind == "csv":
            table.to_csv(place / "measurements.csv", index=False)
        else:
            table.to_parquet(place / "measurements.parquet", index=False)
        return place

    return write


@pytest.mark.parametrize("kinds", [("csv", "csv"), ("parquet", "parquet"), ("csv", "parquet")])
def test_equal_results_differ_in_nothing(folder, kinds):
    found = difference(
        folder("a", measurements(), kinds[0]),
        folder("b", measurements().iloc[::-1], kinds[1]),
    )
    assert found.empty
    assert "relative" in found


def test_the_last_digit_is_a_difference_and_a_tolerance_forgives_it(folder):
    changed = measurements()
    changed.loc[0, "value"] = np.nextafter(changed.loc[0, "value"], 1)
    a, b = folder("a", measurements()), folder("b", changed)
    found = difference(a, b)
    assert list(found["column"]) == ["value"]
    assert found["region"].item() == "liver"
    assert found["before"].item() == repr(0.1 + 0.2)
    assert 0 < found["relative"].item() < 2.3e-16  # one unit in the last place
    assert difference(a, b, rtol=1e-12).empty


def test_rows_of_one_side_are_named(folder):
    a, b = folder("a", measurements().iloc[:3]), folder("b", measurements().iloc[1:])
    found = difference(a, b)
    assert list(found["change"]) == ["only in first", "only in second"]
    assert list(found["region"]) == ["liver", "urine"]
    assert list(found["after"]) == ["", "12.0"]


def test_a_value_that_became_nan_and_a_changed_flag_are_differences(folder):
    changed = measurements()
    changed.loc[1, "value"] = np.nan
    changed.loc[1, "flags"] = "nan_voxels;small_region"
    changed.loc[2, "unit"] = "1"
    found = difference(folder("a", measurements()), folder("b", changed), rtol=0.5)
    assert list(found["column"]) == ["flags", "value", "unit"]
    assert found.loc[found["column"] == "value", "after"].item() == "nan"


def test_signs_and_zeros_are_relative_to_the_larger(folder):
    first, second = measurements(), measurements()
    first.loc[0, "value"], second.loc[0, "value"] = 0.0, 1e-300
    first.loc[1, "value"], second.loc[1, "value"] = -2.0, 2.0
    found = difference(folder("a", first), folder("b", second), rtol=0.9)
    assert sorted(found["relative"]) == [1.0, 2.0]


def test_what_is_no_result_is_refused(tmp_path, folder):
    good = folder("good", measurements())
    (tmp_path / "empty").mkdir()
    (tmp_path / "bytes").mkdir()
    (tmp_path / "bytes" / "measurements.parquet").write_bytes(b"\x00\x01PAR1")
    (tmp_path / "words").mkdir()
    text = measurements().to_csv(index=False).replace("12.0", "twelve")
    (tmp_path / "words" / "measurements.csv").write_text(text, encoding="utf-8")
    lacking = folder("lacking", measurements().drop(columns=["sd"]))
    twice = folder("twice", pd.concat([measurements(), measurements().iloc[:1]]))
    for bad, said in (
        (tmp_path / "absent", "no such folder"),
        (tmp_path / "empty", r"measurements\.csv"),
        (tmp_path / "bytes", "cannot be read"),
        (tmp_path / "words", "column value holds words"),
        (lacking, "lacks the columns sd"),
        (twice, "stand twice"),
    ):
        with pytest.raises(InputError, match=said):
            difference(good, bad)
    with pytest.raises(InputError, match="rtol"):
        difference(good, good, rtol=-1.0)
