"""Release tables: units stated, never guessed; what is out of order refused by name."""

from __future__ import annotations

import contextlib
import json
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from igdd.errors import IgddError, InputError, UnitsError
from igdd.io.release_table import read


def write(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_says_what_which_vessel_when_and_how_much(tmp_path):
    found = read(
        write(
            tmp_path, "formulation,vessel,time [min],released [%],note\nA,007,5,12.5,x\nB,2,10,,\n"
        )
    )
    assert found.formulation == ("A", "B")
    assert found.vessel == ("007", "2")
    assert found.time_unit == "min"
    np.testing.assert_array_equal(found.time, [5, 10])
    np.testing.assert_array_equal(found.released, [12.5, np.nan])
    np.testing.assert_array_equal(found.line, [2, 3])


@pytest.mark.parametrize("word", ["product", "group", "arm", "subject"])
def test_a_formulation_may_be_called_by_other_names(tmp_path, word):
    assert read(write(tmp_path, f"{word},time_h,released_percent\nA,1,5\n")).formulation == ("A",)


def test_a_subject_beside_a_formulation_is_a_vessel(tmp_path):
    found = read(write(tmp_path, "formulation,subject,time [h],released [%]\nA,bag 1,1,5\n"))
    assert (found.formulation, found.vessel) == (("A",), ("bag 1",))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("released [1]", {}),
        ("released (fraction)", {}),
        ("fraction", {}),
        ("released", {"released_unit": "fraction"}),
    ],
)
def test_fractions_become_percent_once_something_says_so(tmp_path, head, words):
    found = read(write(tmp_path, f"formulation,time [h],{head},sd\nA,1,0.25,0.02\n"), **words)
    assert found.released[0] == pytest.approx(25)
    assert found.sd[0] == pytest.approx(2)


def test_the_unit_may_stand_in_the_json_beside_the_table(tmp_path):
    path = write(tmp_path, "formulation,time,released\nA,1,25\n")
    facts = {"time": {"Units": "d"}, "released": {"Units": "%"}}
    path.with_suffix(".json").write_text(json.dumps(facts))
    assert read(path).time_unit == "d"


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("formulation,time,released [%]\nA,1,5\n", {}, "in which unit time is"),
        ("formulation,time [h],released\nA,1,5\n", {}, "in which unit released is"),
        ("formulation,time [h],released [%]\nA,1,5\n", {"time_unit": "min"}, "mixed units: time"),
        (
            "formulation,time [h],released [%]\nA,1,5\n",
            {"released_unit": "fraction"},
            "mixed units: released",
        ),
        (
            "formulation,time,time_unit,released [%]\nA,1,h,5\nA,60,min,9\n",
            {},
            "mixed units: time is in 'h' by line 2 but in 'min' by line 3",
        ),
        ("formulation,time [h],released [%]\nA,1,5\nA,2,7 %\n", {}, "line 3: mixed units"),
        ("formulation,time [h],released [mg]\nA,1,5\n", {}, "released: unit 'mg'"),
        ("formulation,time [mL],released [%]\nA,1,5\n", {}, "time: unit 'mL'"),
    ],
)
def test_a_unit_that_is_missing_or_mixed_is_refused(tmp_path, text, words, message):
    with pytest.raises(UnitsError, match=message):
        read(write(tmp_path, text), **words)


HEAD = "formulation,time [h],released [%]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEAD}\n", "holds no sample"),
        (f"{HEAD}\nA,-1,5\n", "line 2: time -1 is before release could begin"),
        (f"{HEAD}\nA,,5\n", "line 2 has no time"),
        (f"{HEAD}\n,1,5\n", "line 2 has no formulation"),
        (f"{HEAD}\nA,1,250\n", "250 % of the load is released"),
        ("formulation,time [h],released [1]\nA,1,35\n", "3500 % of the load is released"),
        (f"{HEAD}\nA,1,five\n", "expected a number"),
        (f"{HEAD},dose\nA,1,5,3\n", "column 'dose' is unknown"),
        (f"{HEAD},percent\nA,1,5,3\n", "are both released"),
        ("formulation,time [h]\nA,1\n", "column released is missing"),
        (f"{HEAD},sd\nA,1,5,-1\n", "sd is negative"),
        (f"{HEAD},sd [%]\nA,1,5,1\n", "states a unit of its own"),
    ],
)
def test_what_is_out_of_order_is_refused_with_its_place(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, text))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=300))
def test_any_bytes_raise_only_our_errors_and_quickly(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(b"formulation,time [h],released [%]\n" + content)
    begun = time.perf_counter()
    with contextlib.suppress(IgddError):
        read(path)
    assert time.perf_counter() - begun < 1.0  # the project's bound for hostile input
