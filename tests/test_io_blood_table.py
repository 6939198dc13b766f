"""PET-BIDS blood recordings: real ones, and everything that must be refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import IgddError, InputError, UnitsError
from igdd.io import blood_table

FACTS = {
    "PlasmaAvail": True,
    "DispersionCorrected": False,
    "DispersionConstant": 2.6,
    "PlasmaFreeFraction": 15.062331,
    "time": {"Units": "min"},
    "plasma_radioactivity": {"Units": "kBq/ml"},
    "metabolite_parent_fraction": {"Units": "%"},
}
ROWS = "time\tplasma_radioactivity\tmetabolite_parent_fraction\n0\t0\tn/a\n1\t2.5\t90\n"


def write(folder: Path, rows: str | bytes = ROWS, **changes: object) -> Path:
    path = folder / "sub-01_recording-manual_blood.tsv"
    path.write_bytes(rows.encode() if isinstance(rows, str) else rows)
    facts = {key: value for key, value in {**FACTS, **changes}.items() if value is not None}
    path.with_suffix(".json").write_text(json.dumps(facts))
    return path


def test_units_come_from_the_json(tmp_path):
    blood = blood_table.read(write(tmp_path))
    assert_allclose(blood.time, [0, 60])
    assert_allclose(blood.plasma, [0, 2500])
    assert_allclose(blood.parent_fraction, [np.nan, 0.9])
    assert blood.whole_blood is None
    assert (blood.sampling, blood.dispersion_corrected, blood.dispersion) == ("manual", False, 2.6)


def test_units_are_read_whatever_the_letters_of_their_keys(tmp_path):
    small = {key: {"units": FACTS[key]["Units"]} for key in ("time", "plasma_radioactivity")}
    blood = blood_table.read(write(tmp_path, **small))
    assert_allclose(blood.time, [0, 60])  # not in the s that PET-BIDS has where nothing is said
    assert_allclose(blood.plasma, [0, 2500])
    blood = blood_table.read(write(tmp_path, time=None, Time={"Units": "min"}))
    assert_allclose(blood.time, [0, 60])


def test_an_activity_without_a_unit_is_an_error_that_names_it(tmp_path):
    with pytest.raises(UnitsError, match="plasma_radioactivity"):
        blood_table.read(write(tmp_path, plasma_radioactivity=None))


def test_the_standard_says_that_time_is_in_seconds_and_a_fraction_a_share(tmp_path):
    rows = ROWS.replace("90", "0.9")
    blood = blood_table.read(write(tmp_path, rows, time=None, metabolite_parent_fraction=None))
    assert_allclose(blood.time, [0, 1])
    assert_allclose(blood.parent_fraction, [np.nan, 0.9])


def test_the_units_of_the_call_go_before_those_of_the_json(tmp_path):
    for unit in ("kBq", "Bq"):
        path = write(tmp_path, plasma_radioactivity={"Units": unit})
        with pytest.raises(UnitsError, match=f"if it is per mL, say unit = '{unit}/mL'"):
            blood_table.read(path)
    blood = blood_table.read(path, unit="Bq/mL", time_unit="h")
    assert_allclose(blood.plasma, [0, 2.5])
    assert_allclose(blood.time, [0, 3600])
    path.with_suffix(".json").unlink()
    rows = ROWS.replace("90", "0.9")
    path.write_text(rows)
    assert_allclose(blood_table.read(path, unit="kBq/mL").plasma, [0, 2500])


def test_lists_of_one_and_empty_words_are_read_as_meant(tmp_path):
    changed = {
        "time": {"Units": ["min"]}, "PlasmaAvail": [True], "DispersionCorrected": "",
        "MetaboliteAvail": "True", "DispersionConstant": [3],
    }  # fmt: skip
    blood = blood_table.read(write(tmp_path, **changed))
    assert_allclose(blood.time, [0, 60])
    assert (blood.dispersion_corrected, blood.dispersion) == (None, 3.0)


@pytest.mark.parametrize("padding", ["0\t0.0\t0\n0\t0\t0\n", "n/a\tn/a\tn/a\n", "0\t0\tn/a\n"])
def test_rows_that_a_program_filled_with_zeros_are_no_samples(tmp_path, padding):
    blood = blood_table.read(write(tmp_path, ROWS + padding))
    assert_allclose(blood.time, [0, 60])
    with pytest.raises(InputError, match="ascending"):
        blood_table.read(write(tmp_path, ROWS + "0\t0\t5\n"))


@pytest.mark.parametrize(
    ("change", "rows", "message"),
    [
        ({"plasma_radioactivity": {"Units": "kg"}}, ROWS, "plasma_radioactivity"),
        ({"metabolite_parent_fraction": {"Units": "unitless"}}, ROWS, "per cent"),
        ({"DispersionCorrected": "perhaps"}, ROWS, "DispersionCorrected"),
        ({"DispersionConstant": "long"}, ROWS, "expected seconds"),
        ({"WholeBloodAvail": True}, ROWS, "whole_blood_radioactivity"),
        ({}, ROWS.replace("time", "clock"), "time"),
        ({}, ROWS + "1\t3\t80\n", "ascending"),
        ({}, ROWS + "n/a\t3\t80\n", "sample 3 has no time"),
        ({}, ROWS + "1\t2.5\t90\n", "sort the rows, and keep one"),
        ({}, ROWS.split("\n")[0] + "\n", "holds no sample"),
        ({}, ROWS.replace("90", "0.9"), "in per cent and holds at most 0.9"),
        ({}, ROWS + "2\thigh\t80\n", "'high'"),
        ({}, ROWS + "2\t1,5\t80\n", "decimal point"),
    ],
)
def test_a_recording_that_is_not_clear_is_refused(tmp_path, change, rows, message):
    with pytest.raises(IgddError, match=message):
        blood_table.read(write(tmp_path, rows, **change))


def test_a_recording_without_json_is_refused(tmp_path):
    path = write(tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match="no JSON"):
        blood_table.read(path)


def test_columns_that_are_not_read_are_named(tmp_path):
    rows = "time\tplasma_radioactivity\tflow\n0\t0\t1\n"
    assert blood_table.read(write(tmp_path, rows)).unread == ("flow",)


@pytest.mark.parametrize("folder", ["pet/bids_examples_pet", "images/bids_examples"])
def test_real_recordings_are_read(reference, folder):
    paths = sorted(reference(folder).rglob("*_blood.tsv"))
    assert len(paths) == 5
    for path in paths:
        assert blood_table.sniff(path)
        blood = blood_table.read(path)
        assert blood.sampling in ("manual", "autosampler")
        assert blood.plasma is not None or blood.whole_blood is not None


def test_a_real_manual_recording_holds_its_numbers(reference):
    folder = reference("pet/bids_examples_pet/pet001/sub-01/ses-01/pet")
    blood = blood_table.read(next(folder.glob("*manual_blood.tsv")))
    # second line of the file: 145 s, 43.31 and 33.79 kBq/ml, parent 0.5749
    assert_allclose(
        [blood.time[1], blood.plasma[1], blood.whole_blood[1], blood.parent_fraction[1]],
        [145, 43310, 33790, 0.5749],
    )
    assert blood.method == "HPLC"


def test_converted_recordings_are_read_with_the_json_they_share(reference):
    folder = reference("pet/pet2bids_blood/blood/pmod/Ex_bld_manual_and_autosampled_mixed")
    for name, samples in (("autosampler", 555), ("manual", 7)):
        path = folder / f"converted_recording-{name}_blood.tsv"
        blood = blood_table.read(path, facts=folder / "converted_blood.json")
        assert blood.time.size == samples
    with pytest.raises(InputError, match="no JSON"):
        blood_table.read(path)


@given(position=st.integers(0, 10**6), patch=st.binary(min_size=1, max_size=6), which=st.booleans())
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_mutated_recording_gives_blood_or_our_own_error(tmp_path, position, patch, which):
    path = write(tmp_path)
    changed = path if which else path.with_suffix(".json")
    content = changed.read_bytes()
    at = position % len(content)
    changed.write_bytes(content[:at] + patch + content[at + len(patch) :])
    try:
        blood_table.read(path)
    except IgddError:
        return
