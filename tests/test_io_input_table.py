"""Plain tables of an input: names of columns, where units come from, what must be refused."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import IgddError, InputError, UnitsError
from igdd.io import input_table


def write(folder: Path, rows: str | bytes, facts: object = None, name: str = "aif.tsv") -> Path:
    path = folder / name
    path.write_bytes(rows.encode() if isinstance(rows, str) else rows)
    if facts is not None:
        path.with_suffix(".json").write_text(json.dumps(facts))
    return path


def test_units_come_from_the_header(tmp_path):
    found = input_table.read(write(tmp_path, "Time [min]\tCp (mM)\n0\t0\n0.5\t4\n"))
    assert found.unit == "mol/mL"
    assert_allclose(found.time, [0, 30])
    assert_allclose(found.columns["plasma"], [0, 4e-6])


def test_units_come_from_the_json(tmp_path):
    facts = {"time": {"Units": "s"}, "plasma": {"Units": "kBq/mL"}, "blood": {"Units": "Bq/mL"}}
    found = input_table.read(write(tmp_path, "time\tplasma\tblood\n0\t0\t0\n9\t2\t7\n", facts))
    assert found.unit == "Bq/mL"
    assert_allclose(found.columns["plasma"], [0, 2000])
    assert_allclose(found.columns["blood"], [0, 7])


def test_the_caller_has_the_last_word_on_units(tmp_path):
    path = write(tmp_path, "time[s]\tplasma[Bq/mL]\n0\t0\n2\t5\n")
    found = input_table.read(path, unit="kBq/mL", time_unit="min")
    assert_allclose(found.time, [0, 120])
    assert_allclose(found.columns["plasma"], [0, 5000])


def test_a_column_of_any_name_is_read_when_the_caller_says_what_it_is(tmp_path):
    path = write(tmp_path, "time[s],aif[mmol/L]\n0,0\n1,2\n", name="aif.csv")
    found = input_table.read(path, compartment="blood")
    assert_allclose(found.columns["blood"], [0, 2e-6])
    with pytest.raises(InputError, match="compartment"):
        input_table.read(path)


def test_missing_cells_are_nan_and_other_columns_are_listed(tmp_path):
    rows = "time[s]\tplasma[Bq/mL]\tparent_fraction\tnurse\n0\tn/a\t1\tA\n1\t3\tn/a\tB\n"
    found = input_table.read(write(tmp_path, rows))
    assert_allclose(found.columns["plasma"], [np.nan, 3])
    assert_allclose(found.columns["parent_fraction"], [1, np.nan])
    assert found.unread == ("nurse",)


def test_a_parent_fraction_in_per_cent_is_a_share(tmp_path):
    rows = "time[s]\tplasma[Bq/mL]\tparent_fraction[%]\n0\t1\t100\n1\t3\t45\n"
    found = input_table.read(write(tmp_path, rows))
    assert_allclose(found.columns["parent_fraction"], [1, 0.45])


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        ("time\tplasma[Bq/mL]\n0\t1\n", UnitsError, "time_unit='s'"),
        ("time[s]\tplasma\n0\t1\n", UnitsError, "plasma"),
        ("time[kg]\tplasma[Bq/mL]\n0\t1\n", UnitsError, "time"),
        ("time[s]\tplasma[min]\n0\t1\n", UnitsError, "min"),
        (
            "time[s]\tplasma[KBq/mL]\n0\t1\n",
            UnitsError,
            "perhaps 'kBq/mL' is meant; correct the file, or say the right one by unit$",
        ),
        ("time[s]\tplasma[Bq/mL]\tblood[mM]\n0\t1\t1\n", UnitsError, "one kind"),
        ("time[s]\tplasma[Bq/mL]\tcp[Bq/mL]\n0\t1\t1\n", InputError, "both hold plasma"),
        ("clock[s]\tplasma[Bq/mL]\n0\t1\n", InputError, "named 'time'"),
        ("time[s]\ta[mM]\tb[mM]\n0\t1\t1\n", InputError, "beside the time"),
        ("", InputError, "empty"),
        ("time[s]\tplasma[Bq/mL]\n5\t1\n5\t2\n", InputError, "ascending"),
        ("time[s]\tplasma[Bq/mL]\n0\t1,5\n", InputError, "decimal point"),
        ("time[s]\tplasma[Bq/mL]\nn/a\t1\n", InputError, "sample 1 has no time"),
        ("time[s]\tplasma[Bq/mL]\n", InputError, "holds no sample"),
        (
            "time[s]\tplasma[Bq/mL]\tparent_fraction[%]\n0\t1\t1\n9\t2\t0.8\n",
            InputError,
            "in per cent and holds at most 1",
        ),
        (
            "time[s]\tplasma[Bq/mL]\tparent_fraction\n0\t1\t95\n",
            InputError,
            "per cent",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, rows, error, says):
    with pytest.raises(error, match=says):
        input_table.read(write(tmp_path, rows))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=300))
def test_any_bytes_give_a_table_or_an_own_error(tmp_path, content):
    with contextlib.suppress(IgddError):
        input_table.read(write(tmp_path, b"time[s]\tplasma[Bq/mL]\n" + content))
