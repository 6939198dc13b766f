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
        (None, "Left-Putamen"),
        ({"frame_start": {"Units": "s"}}, "Left-Putamen"),
        ({**FACTS, "Units": "mm"}, "Left-Putamen"),
        ({**FACTS, "frame_start": {"Units": "mL"}}, "frame_start"),
        ({**FACTS, "frame_end": {"Units": "min"}}, "mixed units"),
    ],
)
def test_a_table_without_fitting_units_is_refused(tmp_path, facts, message):
    with pytest.raises(UnitsError, match=message):
        tac_table.read(write(tmp_path, facts=facts))


def test_times_of_another_name_than_petpreps_need_their_unit(tmp_path):
    rows = PETPREP.replace("frame_start", "start").replace("frame_end", "end")
    with pytest.raises(UnitsError, match="start"):
        tac_table.read(write(tmp_path, rows, {"Units": "kBq/mL"}))


@pytest.mark.parametrize(
    ("start", "stop", "facts"),
    [
        ("frame_start", "frame_end", None),
        ("frame_times_start", "frame_times_end", None),
        ("FrameTimesStart", "FrameTimesEnd", None),
        ("frame_start", "frame_end", {"frame_start": {"Units": ["s"]}, "Units": "kBq/mL"}),
    ],
)
def test_petprep_and_bids_count_frames_in_seconds(tmp_path, start, stop, facts):
    rows = PETPREP.replace("frame_start", start).replace("frame_end", stop)
    curves = tac_table.read(write(tmp_path, rows, facts), unit="kBq/mL")
    assert tac_table.sniff(tmp_path / "sub-01_tacs.tsv")
    assert_allclose(curves.frames.end, [10, 30])
    assert curves.names == ("Left-Putamen", "liver")


def test_frames_may_stand_in_the_json_alone(tmp_path):
    rows = "liver\n1\n2\n"
    facts = {"Units": "Bq/mL", "FrameTimesStart": [0, 10], "FrameDuration": [10, 20]}
    curves = tac_table.read(write(tmp_path, rows, facts))
    assert_allclose(curves.frames.start, [0, 10])
    assert_allclose(curves.frames.duration, [10, 20])
    assert curves.names == ("liver",)
    with pytest.raises(InputError, match="2 frames"):
        tac_table.read(write(tmp_path, rows, {**facts, "FrameDuration": [10, 20, 30]}))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("frame_start\tliver\n0\t1\n", "frame_end"),
        ("frame_end\tliver\n0\t1\n", "frame_start"),
        ("frame_start\tframe_end\n0\t1\n", "one per region"),
        ("frame_start\tframe_end\tliver\n", "no frame"),
        ("frame_start\tframe_end\tliver\n0\tn/a\t1\n", "no time"),
        ("frame_start\tframe_end\tliver\n0\t0\t1\n", r"tsv: frame 1 lasts 0 s"),
        ("frame_start\tframe_duration\tliver\n0\t9\t1\n9\t-2\t1\n", r"tsv: frame 2 lasts -2 s"),
        ("frame_start\tframe_end\tliver\n0\t20\t1\n10\t30\t1\n", "overlap"),
        ("frame_start\tframe_end\tliver\n10\t20\t1\n0\t10\t1\n", "overlap"),
        ("frame_start\tframe_end\tliver\n0\t20\tx\n", "'x'"),
        (
            "frame_start\tframe_end\tframe_duration\tliver\n0\t10\t10\t1\n10\t20\t5\t2\n",
            "frame 2 lasts 10 s by 'frame_end' but 5 s by 'frame_duration'",
        ),
    ],
)
def test_a_table_that_is_not_clear_is_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        tac_table.read(write(tmp_path, rows))


def test_ends_and_durations_that_tell_the_same_are_read(tmp_path):
    rows = "frame_start\tframe_end\tframe_duration\tliver\n0\t10\t10\t1\n10\t20.05\t10\t2\n"
    curves = tac_table.read(write(tmp_path, rows))
    assert curves.names == ("liver",)
    assert_allclose(curves.frames.duration, [10, 10.05])  # clocks are rounded to 0.1 s


def test_weights_of_any_spelling_are_no_region(tmp_path):
    rows = "start[s]\tend[kBq/cc]\tliver\tWeights\tsd\n0\t10\t1\t5\t6\n"
    curves = tac_table.read(write(tmp_path, rows, None))
    assert curves.names == ("liver",)
    assert "weights_not_used" in curves.flags[0]
    assert "weights_not_used" not in tac_table.read(write(tmp_path)).flags[0]


INSTANTS = "t[s]\ttumour[mM]\tmuscle[mM]\n-4\t0\t0\n0\t0\t0\n2\t0.5\t0.1\n6\t1\t0.2\n"


def test_samples_at_instants_are_the_middles_of_short_frames(tmp_path):
    curves = tac_table.read(write(tmp_path, INSTANTS, None))
    assert curves.frames.sampled
    assert curves.frames.middle.tolist() == [-4.0, 0.0, 2.0, 6.0]
    assert curves.names == ("tumour", "muscle")
    assert_allclose(curves.values[0], [0, 0, 5e-7, 1e-6])
    assert not tac_table.read(write(tmp_path)).frames.sampled


@pytest.mark.parametrize("rows", ["time\tT\n0\t1\n", "frame_start\tframe_end\tT\n0\t5\t1\n"])
def test_a_region_may_be_called_t_beside_a_time(tmp_path, rows):
    assert tac_table.read(write(tmp_path, rows, None), unit="mM", time_unit="s").names == ("T",)


def test_the_unit_of_instants_may_be_said_by_the_caller(tmp_path):
    path = write(tmp_path, "time\ta\n0\t1\n0.5\t2\n", None)
    with pytest.raises(UnitsError, match="in which unit time is"):
        tac_table.read(path, unit="mM")
    assert tac_table.read(path, unit="mM", time_unit="min").frames.middle.tolist() == [0.0, 30.0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("t\ta\n0\t1\n5\t1\n5\t2\n", "sample 3 is at 5 s, not after"),
        ("t\ta\n0\t1\nn/a\t1\n", "no time"),
        ("mid\ttime\ta\n0\t0\t1\n", "'mid' and 'time'"),
        ("t\tframe_end\ta\n0\t5\t1\n", "frame_start"),
    ],
)
def test_instants_that_are_not_clear_are_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        tac_table.read(write(tmp_path, rows, None), unit="mM", time_unit="s")


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


@pytest.mark.parametrize("stop", ["FrameEnd", "FrameDuration"])
def test_frames_in_camel_case_are_read_where_their_unit_is_said(tmp_path, stop):
    rows = f"FrameStart\t{stop}\tliver\n0\t10\t1\n10\t{20 if 'End' in stop else 10}\t2\n"
    path = write(tmp_path, rows, {"FrameStart": {"units": "min"}, "units": "kBq/mL"})
    found = tac_table.read(path)
    assert found.names == ("liver",)
    assert_allclose(found.frames.start, [0, 600])
    assert_allclose(found.frames.duration, [600, 600])
    assert_allclose(found.values, [[1000, 2000]])
    path = write(tmp_path, rows, {"units": "kBq/mL"})
    with pytest.raises(UnitsError, match="in which unit FrameStart is"):
        tac_table.read(path)


def test_a_time_in_minutes_is_not_in_seconds_for_a_small_letter(tmp_path):
    facts = {"frame_start": {"units": "min"}, "Units": "kBq/mL"}
    assert_allclose(tac_table.read(write(tmp_path, facts=facts)).frames.start, [0, 600])


def two_columns(folder, one, other, facts=FACTS):
    return write(folder, f"frame_start\tframe_end\t{one}\t{other}\n0\t10\t1\t2\n", facts)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Putamen (L)", "Putamen (R)"), ("ctx-lh-bankssts [1001]", "ctx-rh-bankssts [2001]"),
        ("Tumour (1)", "Tumour (2)"), ("Tumour (41%)", "Tumour (50%)"),
        ("Lobe (1/2)", "Lobe (2/2)"), ("Putamen (GM)", "Putamen (WM)"),
        ("Thalamus (M)", "Thalamus (L)"), ("liver (mean)", "spleen (mean)"),
        ("Putamen (pm)", "Putamen (am)"),
    ],
)  # fmt: skip
def test_a_bracket_that_is_no_unit_belongs_to_the_name(tmp_path, one, other):
    found = tac_table.read(two_columns(tmp_path, one, other))
    assert found.names == (one, other)
    assert_allclose(found.values, [[1000], [2000]])
    found = tac_table.read(two_columns(tmp_path, f"{one} [Bq/mL]", f"{other}[kBq/mL]"))
    assert found.names == (one, other)
    assert_allclose(found.values, [[1], [2000]])


@pytest.mark.parametrize(
    ("unit", "inside", "value"), [("1", "1", 1), ("M", "mol/mL", 1e-3), ("%", "1", 0.01)]
)
def test_a_lone_letter_is_a_unit_where_all_columns_have_it(tmp_path, unit, inside, value):
    found = tac_table.read(two_columns(tmp_path, f"a ({unit})", f"b ({unit})", None))
    assert (found.names, found.unit) == (("a", "b"), inside)
    assert_allclose(found.values[0], value)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ("liver [KBq/mL]", "spleen [KBq/mL]", "perhaps 'kBq/mL' is meant"),
        ("liver [KBq/mL]", "Putamen (L)", "perhaps 'kBq/mL' is meant"),
        ("liver [Bq/pixel]", "spleen", "'Bq/pixel' is not understood"),
        ("liver [kBq]", "spleen [kBq]", "'kBq' is of something else; expected a unit of activity"),
    ],
)
def test_a_bracket_that_looks_like_a_unit_is_no_name(tmp_path, one, other, message):
    path = two_columns(tmp_path, one, other)
    with pytest.raises(UnitsError, match=message):
        tac_table.read(path)
    assert tac_table.read(path, unit="kBq/mL").names[0] == "liver"


def test_two_columns_of_one_region_are_refused(tmp_path):
    with pytest.raises(InputError, match="two columns are of region 'liver'"):
        tac_table.read(two_columns(tmp_path, "liver [kBq/mL]", "liver (Bq/mL)"))


def test_a_table_of_two_thousand_regions_is_read_without_their_pairs_in_memory(tmp_path):
    count = 2500
    header = "\t".join(["frame_start", "frame_end", *(f"r{one}[kBq/mL]" for one in range(count))])
    rows = "".join(
        "\t".join([str(60 * frame), str(60 * frame + 60), *["1.5"] * count]) + "\n"
        for frame in range(40)
    )
    curves = tac_table.read(write(tmp_path, f"{header}\n{rows}"))
    assert curves.values.shape == (count, 40)
    assert np.isnan(curves.covariance[3, 7, 9])
    assert curves.covariance.strides == (0, 0, 0)  # 2 GB otherwise


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ((1, 1 / 60), "durations seem to be in min"),
        ((1 / 60, 1), "starts seem to be in min"),
        ((1, 1000), "durations seem to be in ms"),
    ],
)
def test_durations_in_another_unit_than_the_starts_are_refused(tmp_path, factors, words):
    duration = np.repeat([5.0, 30.0, 300.0], 4)
    start = np.cumsum(duration) - duration
    rows = "".join(
        f"{one * factors[0]!r}\t{length * factors[1]!r}\t1\n"
        for one, length in zip(start.tolist(), duration.tolist(), strict=True)
    )
    with pytest.raises(InputError, match=words):
        tac_table.read(write(tmp_path, f"frame_start\tframe_duration\tliver\n{rows}"))


def test_times_count_from_the_injection_where_the_json_says_so(tmp_path):
    rows = "frame_start\tframe_end\tliver\n-10\t5\t1\n5\t10\t2\n"
    facts = {"Units": "Bq/mL"}
    assert tac_table.read(write(tmp_path, rows, facts)).frames.zero.kind == "scan_start"
    read = tac_table.read(write(tmp_path, rows, facts | {"InjectionStart": 0}))
    assert read.frames.zero.kind == "administration"
