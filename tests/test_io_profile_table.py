"""Tables of concentrations: what a row says, whose unit it is, what is refused."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from igdd.errors import IgddError, InputError, UnitsError
from igdd.io.profile_table import read

HEADER = "Subject,Time [h],Conc (mg/L),organ,sd,note"


def write(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_says_who_when_where_and_how_much(tmp_path):
    rows = "01,1,5,liver,0.1,first\n01,2,BLQ,liver,,\nb,0.5,,blood,0.2,lost\n"
    found = read(write(tmp_path, f"{HEADER}\n{rows}"))
    assert found.subject == ("01", "01", "b")
    assert found.organ == ("liver", "liver", "blood")
    assert found.group == ("", "", "")
    assert_array_equal(found.time, [1, 2, 0.5])
    assert_array_equal(found.value, [5, np.nan, np.nan])
    assert_array_equal(found.sd, [0.1, np.nan, 0.2])
    assert_array_equal(found.below, [False, True, False])
    assert_array_equal(found.line, [2, 3, 4])
    assert (found.time_unit, found.unit) == ("h", "mg/L")


@pytest.mark.parametrize("cell", ["BLQ", "bql", "BLOQ", "<LLOQ", "< loq", "<0.05", "<5e-2"])
def test_ways_to_say_below_the_limit(tmp_path, cell):
    found = read(write(tmp_path, f"subject,time,conc\na,1,{cell}\n"), "h", "mg/L")
    assert found.below.all()


@pytest.mark.parametrize("cell", ["ND", "LLOQ", ">5", "0,5", "inf", "1e400", "0x5", "-"])
def test_what_is_neither_a_number_nor_below_the_limit_is_refused(tmp_path, cell):
    with pytest.raises(InputError, match="expected a"):
        read(write(tmp_path, f'subject,time,conc\na,1,"{cell}"\n'), "h", "mg/L")


def test_spellings_of_one_unit_agree_and_others_do_not(tmp_path):
    path = write(tmp_path, "subject,time [hours],conc [ng/mL]\na,1,2\n")
    assert read(path, "h", "ug/L").time_unit == "h"
    with pytest.raises(UnitsError, match="'min' by the call but in 'hours' by the header"):
        read(path, "min", "ug/L")


def test_a_spreadsheet_is_read_like_a_text(tmp_path):
    book = openpyxl.Workbook()
    for row in (["subject", "time [min]", "concentration [%ID/g]"], ["m1", 5, 12.5]):
        book.active.append(row)
    book.save(tmp_path / "table.xlsx")
    found = read(tmp_path / "table.xlsx")
    assert found.subject == ("m1",)
    assert found.value[0] == 12.5
    assert found.time_unit == "min"


def test_a_noise_with_a_unit_of_its_own_is_refused(tmp_path):
    with pytest.raises(InputError, match="unit of its own"):
        read(write(tmp_path, "subject,time,conc,sd [ng/L]\na,1,2,3\n"), "h", "mg/L")


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 70), st.binary(max_size=6), st.integers(0, 8))
def test_damaged_tables_raise_only_our_errors(tmp_path, place, inserted, removed):
    plain = b"subject,time [h],conc [mg/L]\na,1,5\na,2,<0.1\nb,1,3.5\nb,2,2.5\n"
    path = tmp_path / "table.csv"
    path.write_bytes(plain[:place] + inserted + plain[place + removed :])
    begun = time.perf_counter()
    with contextlib.suppress(IgddError):
        found = read(path)
        assert len(found.subject) == found.time.size == found.value.size
    assert time.perf_counter() - begun < 1
