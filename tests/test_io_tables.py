"""Strict tables: what is read, what is refused, and that nothing but our own errors comes out."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import IgddError, InputError
from igdd.io import tables

MUTATED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def workbook(rows: list[list[object]]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return book


def stored(book: openpyxl.Workbook) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def repacked(content: bytes, part: str, old: bytes, new: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            inner = source.read(name)
            if name == part:
                assert old in inner
                inner = inner.replace(old, new)
            target.writestr(name, inner)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "animal,mass_mg\n007,1.5\nm2,n/a\n"),
        ("a.tsv", "animal\tmass_mg\n007\t1.5\nm2\tn/a\n"),
        ("a.csv", "animal;mass_mg\r\n007;1.5\r\n\r\nm2;\r\n"),
        ("a.csv", "\ufeffanimal,mass_mg\n007,+1.50e0\nm2,NaN\n"),
        ("a.csv", ' animal , "mass_mg"\n007,1.5\nm2,\n'.replace(' "', '"').replace('" ', '"')),
    ],
)
def test_text_tables_of_any_separator_give_the_same(tmp_path, name, content):
    table = tables.read_table(write(tmp_path, name, content))
    assert list(table.columns) == ["animal", "mass_mg"]
    assert list(table["animal"]) == ["007", "m2"]
    assert_allclose(table["mass_mg"], [1.5, np.nan])


def test_a_workbook_gives_what_its_cells_hold(tmp_path):
    book = workbook([["animal", "mass_mg", None], ["007", 1.5, None], ["m2", None]])
    table = tables.read_table(write(tmp_path, "a.xlsx", stored(book)))
    assert list(table["animal"]) == ["007", "m2"]
    assert_allclose(table["mass_mg"], [1.5, np.nan])


@pytest.mark.parametrize(
    "cells",
    ["1\nx\n2", "1\n1_000", "1\ninf", "1\n1e999", "1\n007", '"1\n2"\n3', "1\n0x1", "1\n1e0001"],
)
def test_a_column_with_one_cell_that_is_no_number_is_text(tmp_path, cells):
    column = tables.read_table(write(tmp_path, "a.csv", f"a\n{cells}\n"))["a"]
    assert column.iloc[0] in ("1", "1\n2")


@pytest.mark.parametrize(
    "cells",
    [
        ["1", ".5", "-2.", "+3e-2", "1E5"],
        ["n/a", "1", "NaN", "", "2"],
        ["n/a", "N/A"],
        ["0", "-07"],
    ],
)
def test_a_column_of_numbers_is_what_each_cell_says(tmp_path, cells):
    rows = "".join(f"{cell},x\n" for cell in cells)
    column = tables.read_table(write(tmp_path, "a.csv", "a,b\n" + rows))["a"]
    expected = [np.nan if cell in tables.MISSING else float(cell) for cell in cells]
    assert column.dtype == float
    np.testing.assert_array_equal(column, expected)


@given(values=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=5))
@MUTATED
def test_numbers_come_back_to_the_last_digit(tmp_path, values):
    text = "x,y\n" + "".join(f"{value!r},a\n" for value in values)
    assert list(tables.read_table(write(tmp_path, "n.csv", text))["x"]) == values
    book = workbook([["x", "y"], *[[value, "a"] for value in values]])
    # openpyxl writes 16 significant digits
    assert_allclose(
        tables.read_table(write(tmp_path, "n.xlsx", stored(book)))["x"], values, rtol=1e-15, atol=0
    )


def test_a_column_that_is_not_all_numbers_stays_text_and_says_where(tmp_path):
    path = write(tmp_path, "a.csv", "a,b\n1,2\nx,3\n")
    table = tables.read_table(path)
    assert list(table["a"]) == ["1", "x"]
    with pytest.raises(InputError, match="line 3, column 'a' holds 'x'"):
        tables.numbers(table, "a", str(path))


def test_a_named_text_column_keeps_its_digits(tmp_path):
    table = tables.read_table(write(tmp_path, "a.csv", "animal,b\n1,2\n2,3\n"), text=("animal",))
    assert list(table["animal"]) == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a;b\n1,5;2\n2,5;3\n", "decimal point"),
        ("a,b\n1,5,2\n", "decimal comma"),
        ("a,a\n1,2\n", "twice"),
        ("a,\n1,2\n", "no header"),
        ("a,b\n1\n", "1 cells; expected 2"),
        ("a,b\n1,2,3\n", "3 cells; expected 2"),
        ("a;b\tc\n", "one separator"),
        ("", "empty"),
        ("\n\n", "empty"),
        ("a,b\n1,\0\n", "NUL"),
        ('a,b\n1,"2\n', "line"),
        (b"a,b\n1,\xff\n", "UTF-8"),
    ],
)
def test_a_table_that_is_not_clear_is_refused(tmp_path, content, message):
    path = write(tmp_path, "a.csv" if b"\t" not in str(content).encode() else "a.txt", content)
    with pytest.raises(InputError, match=message) as caught:
        tables.read_table(path)
    assert "a." in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n" + b"1,2\n" * (5 * 2**20), "bytes"),
        (b"a,b\n" + b"1,2\n" * 10**6, "lines"),
        (b"a,b\n" + b"," * 10**7, "cells"),
        (b"a,b\r" + b"\r" * 10**7, "lines"),
        (b"a," * 30_000, "columns"),
        (b",".join(b"c%d" % one for one in range(20_000)) + b",c7\n1\n", "columns"),
        (b",".join(b"c%d" % (one % 19_998) for one in range(19_999)) + b"\n1\n", "twice"),
        (b"a" + b"," * 19_999 + (b"\n" + b"," * 19_999) * 48 + b"\n1,2", "no header"),
        (b"a,b\n1," + b"2" * 10**6, "field larger"),
        (b"a,b\n1," + b"\x1c" * 10**7, "field larger"),
    ],
)
def test_a_table_beyond_the_bounds_is_refused_quickly(tmp_path, content, message):
    path = write(tmp_path, "a.csv", content)
    begun = time.perf_counter()
    with pytest.raises(InputError, match=message):
        tables.read_table(path)
    assert time.perf_counter() - begun < 1.0  # the project's bound for hostile input


def test_a_formula_is_not_evaluated_and_without_a_value_refused(tmp_path):
    book = stored(workbook([["a", "b"], [1, "=1+1"]]))
    with pytest.raises(InputError, match=r"formula '=1\+1' without its value"):
        tables.read_table(write(tmp_path, "a.xlsx", book))
    valued = repacked(book, "xl/worksheets/sheet1.xml", b"<v />", b"<v>7</v>")
    # 7 is what the workbook says; evaluating the formula would give 2
    assert list(tables.read_table(write(tmp_path, "a.xlsx", valued))["b"]) == [7.0]


def test_a_spreadsheet_error_is_refused(tmp_path):
    book = workbook([["a", "b"], [1, "#DIV/0!"]])
    with pytest.raises(InputError, match="#DIV/0!"):
        tables.read_table(write(tmp_path, "a.xlsx", stored(book)))


def test_several_filled_sheets_need_a_name(tmp_path):
    book = workbook([["a", "b"], [1, 2]])
    book.create_sheet("second").append(["c", "d"])
    book.create_sheet("empty")
    path = write(tmp_path, "a.xlsx", stored(book))
    with pytest.raises(InputError, match="2 filled sheets"):
        tables.read_table(path)
    assert list(tables.read_table(path, sheet="second").columns) == ["c", "d"]
    with pytest.raises(InputError, match="no sheet 'third'"):
        tables.read_table(path, sheet="third")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'r="B2"', b'r="XFD2"'),
        (b"<sheetData>", b"<sheetData>" + b"<row><c/></row>" * 10**6),
        (b'<row r="2"', b'<row r="1048576"'),
        (b'<row r="2"', b'<row r="99999999999"'),
        (b"<sheetData>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><sheetData>"),
        (b"<sheetData>", b"<sheetData>" + b"<a>" * 20_000),
        (b"<v>1</v>", b"<v>1</v" * 3),
    ],
)
def test_a_hostile_workbook_is_refused_quickly(tmp_path, old, new):
    content = stored(workbook([["a", "b"], [1, 2]]))
    path = write(tmp_path, "a.xlsx", repacked(content, "xl/worksheets/sheet1.xml", old, new))
    begun = time.perf_counter()
    with pytest.raises(InputError):
        tables.read_table(path)
    assert time.perf_counter() - begun < 1.5  # one second, and a half for a busy machine


def test_a_workbook_that_inflates_beyond_the_bound_is_refused_quickly(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * (40 * 2**20))
    begun = time.perf_counter()
    path = write(tmp_path, "a.xlsx", stream.getvalue())
    with pytest.raises(InputError, match="inflate"):
        tables.read_table(path)
    assert time.perf_counter() - begun < 1.5


@given(
    position=st.integers(0, 10**6), patch=st.binary(min_size=1, max_size=8), keep=st.integers(0, 99)
)
@MUTATED
def test_a_mutated_table_gives_a_table_or_our_own_error(tmp_path, position, patch, keep):
    book = stored(workbook([["animal", "mass_mg"], ["m1", 1.5], ["m2", 2.5]]))
    text = b"animal,mass_mg\nm1,1.5\nm2,2.5\n"
    for name, whole in (("m.xlsx", book), ("m.csv", text), ("m.tsv", text)):
        at = position % len(whole)
        changed = whole[:at] + patch + whole[at + len(patch) :]
        for content in (changed, whole[: len(whole) * keep // 100]):
            try:
                tables.read_table(write(tmp_path, name, content))
            except IgddError:
                continue


def test_real_workbooks_of_laboratories_are_read(reference):
    table = tables.read_table(reference("pet/pbr28/TrT_chemistry_demograph.xlsx"))
    assert list(table["Akronym"][:2]) == ["rwrd", "flfp"]
    assert_allclose(table["MBq PET1"][:3], [248, 354, 400])
    blood = tables.read_table(reference("pet/pet2bids_blood/blood/blood_example.xlsx"))
    assert blood.shape == (21, 8)
    with pytest.raises(InputError, match="2 filled sheets"):
        tables.read_table(
            reference("pet/pet2bids_blood/single_subject_sheet/")
            / "subject_metadata_multisheet_example.xlsx"
        )


def test_a_missing_file_is_an_input_error(tmp_path):
    for name in ("a.csv", "a.xlsx"):
        with pytest.raises(InputError, match=name):
            tables.read_table(tmp_path / name)


def test_a_number_that_no_measurement_gives_is_refused_before_it_overflows(tmp_path):
    path = write(tmp_path, "a.csv", "x\n1\n1e300\n")
    with pytest.raises(InputError, match="line 3, column 'x' holds 1e"):
        tables.numbers(tables.read_table(path), "x", str(path), 1e9)


def test_empty_columns_at_the_right_of_a_wide_table_cost_no_time(tmp_path):
    path = write(tmp_path, "a.csv", b"a" + b"," * 19_999 + (b"\n1" + b"," * 19_999) * 48)
    begun = time.perf_counter()
    assert tables.read_table(path).shape == (48, 1)
    assert time.perf_counter() - begun < 1.0  # the project's bound for hostile input
