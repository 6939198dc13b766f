"""Joining of blood recordings: which sample counts where, ratios, checks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from igdd.errors import InputError
from igdd.io.blood_table import Blood
from igdd.io.input_table import InputTable
from igdd.stages import blood
from igdd.stages.blood import Account, Recordings, Samples

CLOCK = np.arange(0.0, 300.0)
BOLUS = 1000 * np.exp(-((CLOCK - 40) ** 2) / 200) + 50.0
MANUAL = np.array([30.0, 100.0, 200.0, 600.0, 1200.0])


def recording(kind: str, time: np.ndarray, **columns: np.ndarray) -> Blood:
    return Blood(
        time=time,
        plasma=columns.get("plasma"),
        whole_blood=columns.get("blood"),
        fractions={n: v for n, v in columns.items() if n == "metabolite_parent_fraction"},
        source=f"sub-01_recording-{kind}_blood.tsv",
    )


def both(factor: float = 1.0) -> Recordings:
    values = factor * np.interp(MANUAL, CLOCK, BOLUS)
    return blood.gather(
        [
            recording("autosampler", CLOCK, blood=BOLUS),
            recording("manual", MANUAL, blood=values, plasma=1.3 * values),
        ]
    )


def test_the_order_of_the_files_changes_nothing():
    pair = [
        recording("autosampler", CLOCK, blood=BOLUS),
        recording("manual", MANUAL, blood=MANUAL, plasma=MANUAL),
    ]
    one, other = blood.gather(pair), blood.gather(pair[::-1])
    for kind in ("automatic", "blood", "plasma"):
        assert_array_equal(getattr(one, kind), getattr(other, kind))


def test_quantities_of_two_manual_recordings_complete_each_other():
    found = blood.gather(
        [
            recording("manual", MANUAL, plasma=MANUAL),
            recording("metabolites", MANUAL, metabolite_parent_fraction=np.full(5, 0.5)),
        ]
    )
    assert found.plasma is not None
    assert found.fraction is not None


def test_missing_samples_are_left_out_one_quantity_at_a_time():
    values = np.array([1.0, np.nan, 3.0, 4.0, np.nan])
    found = blood.gather([recording("manual", MANUAL, blood=MANUAL, plasma=values)])
    assert found.plasma is not None
    assert found.blood is not None
    assert_array_equal(found.plasma.time, MANUAL[[0, 2, 3]])
    assert found.blood.time.size == 5


@given(st.floats(0.5, 2.0))
def test_the_check_is_the_factor_between_the_recordings(factor):
    ratio, count = blood.check_ratio(both(factor))
    assert_allclose(ratio, factor, rtol=1e-12)
    assert count == 2  # at 100 and 200 s; 30 s is on the rising edge, the rest after the end


@pytest.mark.parametrize(("factor", "flagged"), [(0.85, True), (0.95, False), (1.15, True)])
def test_more_than_ten_per_cent_is_flagged(factor, flagged):
    account = Account()
    joined = blood.whole_blood(both(factor), account)
    assert ("blood_recordings_differ" in account.flags) is flagged
    assert joined is not None
    assert_array_equal(joined.values[:300], BOLUS)


def test_the_ratio_comes_from_the_autosampler_where_manual_blood_is_missing():
    plasma = 1.3 * np.interp(MANUAL, CLOCK, BOLUS)
    found = blood.gather(
        [
            recording("autosampler", CLOCK, blood=BOLUS),
            recording("manual", MANUAL, plasma=plasma),
        ]
    )
    ratio = blood.ratio_samples(found)
    assert_array_equal(ratio.time, [30, 100, 200])  # while it ran
    assert_allclose(ratio.values, 1.3)


def test_plasma_that_no_sample_relates_to_blood_stays_manual():
    found = blood.gather(
        [
            recording("autosampler", CLOCK, blood=BOLUS),
            recording("manual", MANUAL[3:], plasma=np.array([5.0, 4.0])),
        ]
    )
    account = Account()
    plasma = blood.total_plasma(found, "interpolate", 0.0, account)
    assert plasma is not None
    assert_array_equal(plasma.time, [600, 1200])
    assert "none tells its ratio" in "".join(account.said)


def test_samples_below_zero_make_no_ratio():
    values = np.array([-1.0, -2.0, -3.0, -1.0, -1.0])
    found = blood.gather([recording("manual", MANUAL, blood=values, plasma=values)])
    assert blood.ratio_samples(found) == Samples(*map(pytest.approx, (np.empty(0), np.empty(0))))


def test_two_units_are_refused():
    contrast = InputTable(time=MANUAL, columns={"plasma": MANUAL}, unit="mol/mL", source="aif.tsv")
    with pytest.raises(InputError, match="one unit"):
        blood.gather([recording("manual", MANUAL, blood=MANUAL), contrast])
