"""Event tables in the form of NONMEM: what is read, and what no event can be."""

from __future__ import annotations

import time

import numpy as np
import pytest

from igdd.errors import InputError
from igdd.io.event_table import read_events

PLAIN = "ID,TIME,AMT,DV,WT\n1,0,100,.,70\n1,1,0,5,70\n1,2,0,4,70\n2,0,50,.,60\n2,3,0,1,60\n"


def written(tmp_path, text: str, name: str = "events.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_become_individuals(tmp_path):
    (first, second), source = read_events(written(tmp_path, PLAIN))
    assert source == "events.csv"
    assert (first.subject, second.subject) == ("1", "2")
    assert first.kind.tolist() == [1, 0, 0]
    assert first.amount.tolist() == [100, 0, 0]
    assert np.isnan(first.value[0])
    assert first.value[1:].tolist() == [5, 4]
    assert second.covariates["WT"].tolist() == [60, 60]
    assert second.line.tolist() == [5, 6]


def test_names_are_read_in_any_case_and_under_others(tmp_path):
    text = PLAIN.replace("ID,TIME,AMT,DV", "id,time,Amt,conc")
    (first, _), _ = read_events(written(tmp_path, text), {"DV": "conc"})
    assert first.value[1] == 5


def test_blanks_separate_in_other_files(tmp_path):
    text = PLAIN.replace(",", "  ")
    (first, second), _ = read_events(written(tmp_path, text, "events.dta"))
    assert first.value[1:].tolist() == [5, 4]
    assert second.subject == "2"


def test_long_names_of_individuals_keep_their_digits(tmp_path):
    long = "9" * 40
    (first, _), _ = read_events(written(tmp_path, PLAIN.replace("\n1,", f"\n{long},")))
    assert first.subject == long


def test_rows_can_be_chosen_and_columns_ignored(tmp_path):
    text = "ID,TIME,AMT,DV,SS,SD\n1,0,9,.,99,1\n1,1,0,5,99,1\n1,2,0,4,99,0\n"
    (only,), _ = read_events(written(tmp_path, text), ignored=("SS",), only={"SD": 1})
    assert only.time.tolist() == [0, 1]


def test_without_evid_a_rate_or_an_amount_is_a_dose(tmp_path):
    text = "ID,TIME,AMT,RATE,SS,II,DV\n1,0,0,5,1,0,.\n1,1,0,0,0,0,5\n"
    (only,), _ = read_events(written(tmp_path, text))
    assert only.kind.tolist() == [1, 0]
    assert only.rate[0] == 5


def test_a_covariate_that_is_text_stays_text(tmp_path):
    (first, _), _ = read_events(
        written(tmp_path, PLAIN.replace(",70", ",male").replace(",60", ",f"))
    )
    assert first.covariates["WT"].tolist() == ["male"] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("ID,TIME,AMT,DV\n", "no event"),
        ("ID,TIME,DV\n1,0,1\n", "column AMT is missing"),
        ("ID,TIME,AMT,DV\n1,-1,5,.\n1,1,0,2\n", "TIME is negative"),
        ("ID,TIME,AMT,DV\n1,2,5,.\n1,1,0,2\n", "order of time"),
        ("ID,TIME,AMT,DV\n1,,5,.\n", "no TIME"),
        ("ID,TIME,AMT,DV\n,0,5,.\n", "no ID"),
        ("ID,TIME,AMT,DV\n1,0,5,.\n2,0,5,.\n1,1,0,2\n", "appears again"),
        ("ID,TIME,AMT,DV,EVID\n1,0,0,.,1\n", "dose of 0"),
        ("ID,TIME,AMT,DV\n1,0,-5,.\n", "AMT is negative"),
        ("ID,TIME,AMT,DV,RATE\n1,0,5,.,-2\n", "RATE is negative"),
        ("ID,TIME,AMT,DV,ADDL\n1,0,5,.,3\n", "ADDL without II"),
        ("ID,TIME,AMT,DV,ADDL,II\n1,0,5,.,1e9,1\n", "ADDL is no number"),
        ("ID,TIME,AMT,DV,ADDL,II\n1,0,5,.,1.5,1\n", "ADDL is no number"),
        ("ID,TIME,AMT,DV,SS,II\n1,0,5,.,1,0\n", "SS without II"),
        ("ID,TIME,AMT,DV,SS\n1,0,5,.,99\n", "SS is none of"),
        ("ID,TIME,AMT,DV,EVID\n1,0,5,.,101\n", "EVID is none of"),
        ("ID,TIME,AMT,DV,EVID\n1,0,5,.,0\n", "AMT stands in a row"),
        ("ID,TIME,AMT,DV\n1,0,5,.\n1,1,0,.\n", "sample without DV"),
        ("ID,TIME,AMT,DV\n1,0,5,.\n1,1,0,abc\n", "expected a number"),
        ("ID,TIME,AMT,DV\n1,0,5,.\n1,nan,0,3\n", "no TIME"),
        ("ID,TIME,AMT,DV\n1,0,5,.\n1,inf,0,3\n", "expected a number"),
        ("ID,TIME,AMT,amt,DV\n1,0,5,5,.\n", "are both AMT"),
        (f"ID,TIME,AMT,DV\n{'9' * 100},0,5,.\n", "100 characters"),
        ("\0\0", "NUL"),
    ],
)
def test_what_no_event_can_be_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_events(written(tmp_path, text))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"renamed": {"DV": "nowhere"}}, "nowhere"),
        ({"renamed": {"COLOUR": "WT"}}, "COLOUR"),
        ({"ignored": ("nowhere",)}, "to ignore"),
        ({"only": {"nowhere": 1.0}}, "to choose rows by"),
        ({"only": {"WT": 99.0}}, "no event"),
    ],
)
def test_columns_that_are_not_there_are_refused(tmp_path, words, message):
    with pytest.raises(InputError, match=message):
        read_events(written(tmp_path, PLAIN), **words)


def test_a_reset_may_begin_the_time_anew(tmp_path):
    text = "ID,TIME,AMT,DV,EVID\n1,0,5,.,1\n1,9,0,2,0\n1,0,5,.,4\n1,1,0,3,0\n"
    (only,), _ = read_events(written(tmp_path, text))
    assert only.time.tolist() == [0, 9, 0, 1]


def test_ragged_blanks_and_huge_tables_are_refused_quickly(tmp_path):
    started = time.perf_counter()
    with pytest.raises(InputError, match="3 cells"):
        read_events(written(tmp_path, "ID TIME AMT DV\n1 0 5\n", "events.txt"))
    with pytest.raises(InputError, match="smaller table"):
        read_events(written(tmp_path, "ID TIME AMT DV\n" + "1 0 5 .\n" * 400_000, "events.txt"))
    assert time.perf_counter() - started < 10
