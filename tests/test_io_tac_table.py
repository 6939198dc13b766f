"""Tables of time-activity curves: PETPrep, PMOD and plain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import IgddError, InputError, UnitsError
from igdd.io import blood_table, tac_table
from igdd.types import Zero

PETPREP = "frame_start\tframe_end\tLeft-Putamen\tliver\n0\t10\t1.5\t2\n10\t30\t2.5\tn/a\n"
FACTS = {"frame_start": {"Units": "s"}, "Units": "kBq/mL"}


def write(folder: Path, rows: str | bytes = PETPREP, facts: object = FACTS) -> Path:
    path = folder / "sub-01_tacs.tsv"
    path.write_bytes(rows.encode() if isinstance(rows, str) else rows)
    if facts is not None:
        path.with_suffix(".json").write_text(json.dumps(facts))
    return path


@pytest.mark.parametrize(
    ("rows", "facts", "options"),
    [
        (PETPREP, FACTS, {}),
        (PETPREP, None, {"unit": "kBq/mL", "time_unit": "s"}),
        (PETPREP.replace("frame_start", "frame_start [s]").replace("frame_end", "end[kBq/cc]"),
         None, {}),
        (PETPREP.replace("Putamen", "Putamen(kBq/mL)").replace("liver", "liver [kBq/mL]")
         .replace("frame_start", "start[seconds]"), None, {}),
        ("start,duration,Left-Putamen,liver\n0,10,1.5,2\n10,20,2.5,\n",
         None, {"unit": "kBq/mL", "time_unit": "s"}),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_curves(tmp_path, rows, facts, options):
    curves = tac_table.read(write(tmp_path, rows, facts), **options)
    assert curves.names == ("Left-Putamen", "liver")
    assert_allclose(curves.values, [[1500, 2500], [2000, np.nan]])
    assert_allclose(curves.frames.start, [0, 10])
    assert_allclose(curves.frames.duration, [10, 20])
    assert curves.unit == "Bq/mL"
    assert np.isnan(curves.covariance).all()
    assert curves.flags[0] == ("noise_unknown",)


def test_minutes_become_seconds_and_zero_is_the_callers(tmp_path):
    zero = Zero(kind="administration")
    curves = tac_table.read(write(tmp_path), time_unit="min", zero=zero)
    assert_allclose(curves.frames.end, [600, 1800])
    assert curves.frames.zero is zero


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (None, "frame_start"),
        ({"Units": "kBq/mL"}, "frame_start"),
        ({"frame_start": {"Units": "s"}}, "Left-Putamen"),
        ({**FACTS, "Units": "mm"}, "Left-Putamen"),
    ],
)
def test_a_table_without_fitting_units_is_refused(tmp_path, facts, message):
    with pytest.raises(UnitsError, match=message):
        tac_table.read(write(tmp_path, facts=facts))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("frame_start\tliver\n0\t1\n", "frame_end"),
        ("frame_end\tliver\n0\t1\n", "frame_start"),
        ("frame_start\tframe_end\n0\t1\n", "one per region"),
        ("frame_start\tframe_end\tliver\n", "no frame"),
        ("frame_start\tframe_end\tliver\n0\tn/a\t1\n", "no time"),
        ("frame_start\tframe_end\tliver\n0\t0\t1\n", "lasts 0"),
        ("frame_start\tframe_end\tliver\n0\t20\t1\n10\t30\t1\n", "overlap"),
        ("frame_start\tframe_end\tliver\n10\t20\t1\n0\t10\t1\n", "overlap"),
        ("frame_start\tframe_end\tliver\n0\t20\tx\n", "'x'"),
    ],
)
def test_a_table_that_is_not_clear_is_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        tac_table.read(write(tmp_path, rows))


def test_a_real_pmod_table_is_read_with_the_units_of_its_header(reference):
    path = reference("pet/tacmagic_ad06/AD06.tac")
    assert tac_table.sniff(path)
    curves = tac_table.read(path)
    acquired = np.loadtxt(path.with_suffix(".acqtimes"), skiprows=2)
    assert_allclose(np.stack([curves.frames.start, curves.frames.end], axis=1), acquired)
    # second frame of the first region: 5.7628 kBq/cc
    assert_allclose(curves.values[0, 1], 5762.807701643863)


def test_a_real_plain_table_needs_its_units_said(reference):
    path = reference("pet/tacmagic_ad06/AD06_man_fullROI.csv")
    assert tac_table.sniff(path)
    with pytest.raises(UnitsError):
        tac_table.read(path)
    curves = tac_table.read(path, unit="kBq/cc", time_unit="s")
    assert_allclose(curves.values[curves.names.index("leftfrontal"), 1], 6126.554702)


def test_a_table_of_many_subjects_is_refused(reference):
    with pytest.raises(InputError, match="overlap"):
        tac_table.read(reference("pet/simref/simref_tacs.csv"), unit="kBq/mL", time_unit="min")


def test_blood_is_not_taken_for_curves(reference):
    paths = reference("pet/bids_examples_pet").rglob("*_blood.tsv")
    assert not any(tac_table.sniff(path) for path in paths)
    assert not blood_table.sniff(reference("pet/tacmagic_ad06/AD06.tac"))


@given(position=st.integers(0, 10**6), patch=st.binary(min_size=1, max_size=6))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_mutated_table_gives_curves_or_our_own_error(tmp_path, position, patch):
    content = PETPREP.encode()
    at = position % len(content)
    path = write(tmp_path, content[:at] + patch + content[at + len(patch) :])
    try:
        tac_table.sniff(path)
        tac_table.read(path)
    except IgddError:
        return
