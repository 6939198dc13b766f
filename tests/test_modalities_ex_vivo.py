"""Ex vivo counting against counts made from a known biodistribution."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import InputError
from igdd.facts import Agent, Subject
from igdd.modalities import ex_vivo

HALF_LIFE = 45720.0  # Cu-64, ICRP-107
DOSE_RATE = 5e7  # counts per second of the whole dose at the common instant
BACKGROUND = 0.8
TRUTH = {"liver": (12.0, 1.1), "tumour": (3.0, 0.2), "muscle": (0.004, 0.1)}  # %ID, g


def expected_counts(share: float, counted_at: float, count_time: float) -> float:
    """Counts of a tube that holds a share of the dose: integral of the decaying rate, and noise."""
    rate = math.log(2) / HALF_LIFE
    decayed = (math.exp(-rate * counted_at) - math.exp(-rate * (counted_at + count_time))) / rate
    return share * DOSE_RATE * decayed + BACKGROUND * count_time


def make_table(**changes: object) -> pd.DataFrame:
    rows = []
    for number, (organ, (percent, mass)) in enumerate(TRUTH.items()):
        at = 600.0 * number
        rows.append(
            {"kind": "sample", "animal": "m1", "organ": organ, "time": 86400.0, "mass": mass,
             "mass_sd": 0.001, "counts": expected_counts(percent / 100, at, 60.0),
             "count_time": 60.0, "counted_at": at}
        )  # fmt: skip
    for at, share, length in ((3000.0, 0.01, 60.0), (9000.0, 0.005, 3000.0)):
        rows.append(
            {"kind": "standard", "counts": expected_counts(share, at, length), "count_time": length,
             "counted_at": at, "fraction": share, "fraction_sd": share * 0.01}
        )  # fmt: skip
    rows.append({"kind": "background", "counts": BACKGROUND * 600, "count_time": 600.0})
    table = pd.DataFrame(rows).assign(**changes)
    table.index = pd.RangeIndex(2, len(table) + 2, name="line")
    return table


def found(table: pd.DataFrame, metric: str) -> dict[str, float]:
    values = ex_vivo.calibrate(table, HALF_LIFE)["m1"]
    return {value.region: value.estimate.value for value in values if value.metric == metric}


def test_known_percentages_come_back_from_noiseless_counts():
    table = make_table()
    for organ, (percent, mass) in TRUTH.items():
        # exact decay during counting: only rounding of large counts remains
        assert_allclose(found(table, "percent_id")[organ], percent, rtol=1e-9)
        assert_allclose(found(table, "percent_id_per_g")[organ], percent / mass, rtol=1e-9)


def test_the_nuclide_may_be_named():
    by_name = ex_vivo.calibrate(make_table(), "64Cu")["m1"][0].estimate
    assert by_name.value == ex_vivo.calibrate(make_table(), HALF_LIFE)["m1"][0].estimate.value


def test_rows_speak_the_tables_language():
    first, second = ex_vivo.calibrate(make_table(), HALF_LIFE)["m1"][:2]
    assert (first.metric, first.unit, first.time, first.analyte) == (
        "percent_id", "%", 86400.0, "label",
    )  # fmt: skip
    assert (second.metric, second.unit) == ("percent_id_per_g", "%/g")
    assert "2 standards" in first.method


@given(st.floats(-1e5, 1e5))
def test_the_common_instant_does_not_matter(shift):
    table = make_table()
    moved = table.assign(counted_at=table["counted_at"] + shift)
    assert_allclose(
        list(found(moved, "percent_id").values()),
        list(found(table, "percent_id").values()),
        rtol=1e-9,  # rounding of two exponentials
    )


def test_an_animal_that_got_half_of_the_nominal_dose_holds_twice_the_percentage():
    table = make_table()
    half = found(table.assign(given=0.5), "percent_id")
    assert_allclose(half["liver"], 2 * TRUTH["liver"][0], rtol=1e-9)


def test_a_tube_below_background_stays_negative():
    table = make_table()
    table.loc[table["organ"] == "muscle", "counts"] = 3.0
    assert found(table, "percent_id")["muscle"] < 0


def test_a_tube_without_a_count_is_not_known_exactly():
    table = make_table()
    table.loc[table["organ"] == "muscle", "counts"] = 0.0
    last = next(v for v in ex_vivo.calibrate(table, HALF_LIFE)["m1"] if v.region == "muscle")
    assert last.estimate.sd_random > 0


def test_the_reported_sd_is_that_of_repeated_experiments():
    generator = np.random.default_rng(20260501)
    table = make_table()
    repeats = []
    for _ in range(400):
        counts = generator.poisson(table["counts"]).astype(float)
        made = table["fraction"] * (1 + 0.01 * generator.standard_normal(len(table)))
        counts = counts * np.where(table["kind"] == "standard", made / table["fraction"], 1.0)
        repeats.append(list(found(table.assign(counts=counts), "percent_id").values()))
    # one experiment with two standards that agree: no scatter beyond the propagated
    stated = [
        value.estimate.sd
        for value in ex_vivo.calibrate(table, HALF_LIFE)["m1"]
        if value.metric == "percent_id"
    ]
    # sd of 400 repeats is known to 1 / sqrt(800) = 3.5 %; three of that, and second order
    assert_allclose(np.std(repeats, axis=0, ddof=1), stated, rtol=0.12)


def test_the_standards_are_shared_by_all_rows():
    liver = ex_vivo.calibrate(make_table(), HALF_LIFE)["m1"][0].estimate
    # two standards of 1 % each: 1 % / sqrt(2) of the value; counting adds less than 1e-4 of it
    assert_allclose(liver.sd_shared / liver.value, 0.01 / math.sqrt(2), rtol=2e-2)


def test_standards_that_disagree_widen_the_shared_uncertainty():
    table = make_table()
    first = table.index[table["kind"] == "standard"][0]
    table.loc[first, "counts"] *= 1.2
    liver = ex_vivo.calibrate(table, HALF_LIFE)["m1"][0].estimate
    # s / sqrt(2) of 1.2 and 1 is 0.1, relative to their mean 1.1
    assert_allclose(liver.sd_shared / liver.value, 0.1 / 1.1, rtol=1e-2)


def test_an_unknown_mass_gives_no_concentration_and_an_unknown_sd_a_flag():
    table = make_table()
    table.loc[table["organ"] == "liver", "mass"] = np.nan
    assert set(found(table, "percent_id_per_g")) == {"tumour", "muscle"}
    values = ex_vivo.calibrate(table.drop(columns="mass_sd"), HALF_LIFE)["m1"]
    flags = {value.metric: value.flags for value in values}
    assert flags == {"percent_id": (), "percent_id_per_g": ("mass_sd_unknown",)}


def test_a_single_standard_of_unknown_making_is_flagged():
    table = make_table(fraction_sd=np.nan)
    one = table.drop(index=table.index[table["kind"] == "standard"][1])
    assert "standard_sd_unknown" in ex_vivo.calibrate(one, HALF_LIFE)["m1"][0].flags
    assert ex_vivo.calibrate(table, HALF_LIFE)["m1"][0].flags == ()


@pytest.mark.parametrize(
    ("column", "kind", "value", "message"),
    [
        ("counts", "sample", np.nan, "line 2: counts is nan"),
        ("counts", "sample", -1.0, "counts is -1.0"),
        ("count_time", "standard", 0.0, "count_time is 0.0"),
        ("counted_at", "sample", np.nan, "counted_at"),
        ("time", "sample", np.nan, "time"),
        ("mass", "sample", 0.0, "mass is 0.0"),
        ("mass_sd", "sample", -0.1, "mass_sd"),
        ("fraction", "standard", np.nan, "fraction"),
        ("fraction", "standard", 0.0, "fraction"),
        ("counts", "standard", 0.0, "standards' net rate"),
        ("organ", "sample", "", "no organ"),
        ("organ", "sample", "liver", "stands there 3 times"),
        ("kind", "background", "sample", "no row of kind background"),
        ("kind", "standard", "background", "no row of kind standard"),
    ],
)
def test_a_table_that_has_no_answer_is_refused(column, kind, value, message):
    table = make_table()
    table.loc[table["kind"] == kind, column] = value
    with pytest.raises(InputError, match=message):
        ex_vivo.calibrate(table, HALF_LIFE)


def test_a_table_without_its_columns_is_refused():
    with pytest.raises(InputError, match="lacks counts"):
        ex_vivo.calibrate(make_table().drop(columns="counts"), HALF_LIFE)


def test_one_animal_of_the_table_is_the_subject():
    values = ex_vivo.of_subject(make_table(), Subject(id="m1"), Agent(nuclide="Cu-64"))
    liver = next(one for one in values if (one.region, one.metric) == ("liver", "percent_id"))
    assert_allclose(liver.estimate.value, TRUTH["liver"][0], rtol=1e-9)  # rounding only


def test_an_animal_that_was_not_counted_is_named():
    with pytest.raises(InputError, match="no animal 'm9'; expected"):
        ex_vivo.of_subject(make_table(), Subject(id="m9"), Agent(nuclide="Cu-64"))


def test_a_table_without_a_nuclide_is_refused():
    with pytest.raises(InputError, match=r"agent\.label\.nuclide"):
        ex_vivo.of_subject(make_table(), Subject(id="m1"), Agent())
