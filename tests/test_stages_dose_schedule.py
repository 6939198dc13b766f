"""Events to doses and the time since each: resets, steady states, ties, compartments."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.io.event_table import read_events
from igdd.stages.dose_schedule import course


def course_of(tmp_path, text: str, depot: bool = False):
    path = tmp_path / "events.csv"
    path.write_text(text, encoding="utf-8")
    (only,), source = read_events(path)
    return course(only, depot, source)


def test_further_doses_follow_at_their_interval(tmp_path):
    found = course_of(tmp_path, "ID,TIME,AMT,ADDL,II,DV\n1,0,5,2,12,.\n1,13,0,0,0,1\n")
    assert found.schedule.elapsed[:, 0].tolist() == [13, 1, -1]
    assert found.schedule.amount.tolist() == [5, 5, 5]


def test_a_sample_in_the_instant_of_a_dose_sees_it_only_when_its_row_comes_later(tmp_path):
    found = course_of(tmp_path, "ID,TIME,AMT,DV\n1,0,5,.\n1,6,0,1\n1,6,7,.\n1,6,0,2\n")
    assert found.schedule.elapsed[1].tolist() == [-1, 0]


def test_an_additional_dose_is_given_before_a_sample_in_its_instant(tmp_path):
    found = course_of(tmp_path, "ID,TIME,AMT,ADDL,II,DV\n1,0,5,1,6,.\n1,6,0,0,0,1\n")
    assert found.schedule.elapsed[1, 0] == 0


@pytest.mark.parametrize("row", ["1,8,0,.,3,0,0", "1,8,7,.,4,0,0", "1,8,7,.,1,1,12"])
def test_a_reset_wipes_out_what_was_given(tmp_path, row):
    text = f"ID,TIME,AMT,DV,EVID,SS,II\n1,0,5,.,1,0,0\n1,4,0,1,0,0,0\n{row}\n1,9,0,1,0,0,0\n"
    found = course_of(tmp_path, text)
    assert found.schedule.elapsed[0].tolist() == [4, -1]


def test_a_steady_state_can_be_added(tmp_path):
    text = "ID,TIME,AMT,DV,SS,II\n1,0,5,.,0,0\n1,8,7,.,2,12\n1,9,0,1,0,0\n"
    found = course_of(tmp_path, text)
    assert found.schedule.elapsed[:, 0].tolist() == [9, 1]
    assert found.schedule.interval.tolist() == [0, 12]


def test_only_the_first_of_several_doses_stands_for_a_steady_state(tmp_path):
    text = "ID,TIME,AMT,DV,SS,II,ADDL\n1,0,7,.,1,12,1\n1,13,0,1,0,0,0\n"
    assert course_of(tmp_path, text).schedule.interval.tolist() == [12, 0]


def test_rates_make_durations_and_an_infusion_for_ever(tmp_path):
    text = "ID,TIME,AMT,RATE,SS,II,DV\n1,0,10,4,0,0,.\n1,20,0,4,1,0,.\n1,21,0,0,0,0,1\n"
    found = course_of(tmp_path, text)
    assert found.schedule.duration.tolist() == [2.5, 0]
    assert found.schedule.rate.tolist() == [0, 4]


def test_compartments_are_the_depot_and_the_central_one(tmp_path):
    text = "ID,TIME,AMT,CMT,DV\n1,0,5,1,.\n1,1,6,2,.\n1,2,0,2,1\n"
    found = course_of(tmp_path, text, depot=True)
    assert found.schedule.depot.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "depot", "message"),
    [
        ("ID,TIME,AMT,CMT,DV\n1,0,5,2,.\n1,1,0,1,1\n", False, "compartment 2"),
        ("ID,TIME,AMT,CMT,DV\n1,0,5,1,.\n1,1,0,2,1\n", False, "sample of compartment 2"),
        ("ID,TIME,AMT,CMT,DV\n1,0,5,1,.\n1,1,0,1,1\n", True, "sample of compartment 1"),
        ("ID,TIME,AMT,RATE,DV\n1,0,5,2,.\n1,1,0,0,1\n", True, "into the depot"),
    ],
)
def test_what_the_model_has_not_is_refused(tmp_path, text, depot, message):
    with pytest.raises(InputError, match=message):
        course_of(tmp_path, text, depot)


def test_too_many_doses_are_refused(tmp_path):
    rows = "".join(f"1,{number},5,9999,1,.\n" for number in range(3))
    with pytest.raises(InputError, match="more than"):
        course_of(tmp_path, "ID,TIME,AMT,ADDL,II,DV\n" + rows)


def test_without_a_sample_there_is_an_empty_course(tmp_path):
    found = course_of(tmp_path, "ID,TIME,AMT,DV\n1,0,5,.\n")
    assert found.value.size == 0
    assert found.schedule.elapsed.shape == (1, 0)
    assert np.array_equal(found.schedule.amount, [5])
