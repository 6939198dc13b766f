"""Ex vivo tables: units in headers, clocks, and the way from the file to the percentage."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from igdd.errors import IgddError, InputError, UnitsError
from igdd.io import blood_table, ex_vivo_table, tac_table
from igdd.modalities import ex_vivo

HEADER = (
    "kind", "animal", "organ", "time_h", "mass_mg", "counts", "count_time_s", "counted_at",
    "fraction_percent",
)  # fmt: skip
ROWS = [
    ("sample", "01", "liver", 24, 1100, 60480, 60, "2026-05-02 12:00:00", None),
    ("sample", "01", "urine", 24, None, 480, 60, "2026-05-02 12:05:00", None),
    ("standard", None, None, None, None, 30480, 60, "2026-05-02 12:10:00", 1),
    ("background", None, None, None, None, 4800, 600, None, None),
]


def text(separator: str = ",", header: tuple[str, ...] = HEADER) -> str:
    lines = [header, *[["" if cell is None else str(cell) for cell in row] for row in ROWS]]
    return "\n".join(separator.join(line) for line in lines) + "\n"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def workbook() -> bytes:
    book = openpyxl.Workbook()
    for row in (HEADER, *ROWS):
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", text()),
        ("a.tsv", text("\t")),
        ("a.csv", text(";")),
        ("a.csv", text(header=tuple(name.replace("_h", " [h]") for name in HEADER))),
        ("a.csv", text(header=tuple(name.replace("organ", "Organ") for name in HEADER))),
        ("a.xlsx", workbook()),
    ],
)
def test_every_form_gives_the_same_table(tmp_path, name, content):
    path = write(tmp_path, name, content)
    assert ex_vivo_table.sniff(path)
    table = ex_vivo_table.read(path)
    assert tuple(table.columns) == ex_vivo_table.COLUMNS
    assert list(table["animal"][:2]) == ["01", "01"]
    assert_allclose(table["time"], [86400, 86400, np.nan, np.nan])
    assert_allclose(table["mass"], [1.1, np.nan, np.nan, np.nan])
    assert_allclose(table["counts"], [60480, 480, 30480, 4800])
    assert_allclose(table["counted_at"], [0, 300, 600, np.nan])
    assert_allclose(table["fraction"], [np.nan, np.nan, 0.01, np.nan])


def test_the_file_leads_to_the_percentage(tmp_path):
    table = ex_vivo_table.read(write(tmp_path, "a.csv", text()))
    values = ex_vivo.calibrate(table, 1e12)["01"]  # a half-life beside which 10 min are nothing
    # 60480/60 - 8 = 1000/s; the standard 30480/60 - 8 = 500/s is 1 % of the dose
    assert [(v.region, v.metric) for v in values] == [
        ("liver", "percent_id"), ("liver", "percent_id_per_g"), ("urine", "percent_id"),
    ]  # fmt: skip
    assert_allclose([v.estimate.value for v in values], [2.0, 2.0 / 1.1, 0.0], atol=1e-8)


def test_a_rate_and_its_time_are_counts(tmp_path):
    content = text(header=tuple("cpm" if name == "counts" else name for name in HEADER))
    table = ex_vivo_table.read(write(tmp_path, "a.csv", content))
    assert_allclose(table["counts"], [60480, 480, 30480, 48000])  # 4800 per minute in 600 s


def test_units_may_stand_in_the_json(tmp_path):
    bare = ("kind", "animal", "organ", "time", "mass", "counts", "count_time", "counted_at",
            "fraction")  # fmt: skip
    path = write(tmp_path, "a.csv", text(header=bare))
    with pytest.raises(UnitsError, match="'time' has no unit"):
        ex_vivo_table.read(path)
    described = {"time": "h", "mass": "mg", "count_time": "s", "fraction": "%"}
    path.with_suffix(".json").write_text(
        json.dumps({name: {"Units": unit} for name, unit in described.items()})
    )
    table = ex_vivo_table.read(path)
    assert_allclose(table["mass"][:1], [1.1])
    assert_allclose(table["fraction"][2:3], [0.01])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("organ", "tissue", "'tissue' is unknown; expected kind, animal, organ"),
        ("time_h", "time_kg", "time_kg"),
        ("mass_mg", "mass", "no unit"),
        ("animal", "organ_", "unknown"),
        ("mass_mg", "time_s", "both time"),
        ("counts", "note", "expected one of counts"),
        ("mass_mg", "cpm", "counts and cpm"),
        ("count_time_s", "note", "count_time is missing"),
        ("kind", "note", "kind is missing"),
        ("sample", "organ", "kind is 'organ'"),
        ("2026-05-02 12:05:00", "12:05:00", "expected a date"),
        ("2026-05-02 12:05:00", "2026-05-02", "expected a date"),
        ("2026-05-02 12:05:00", "2026-05-02 12:05:00+02:00", "time zone"),
        (",1100,", ",1.1 g,", "'1.1 g'"),
        (",60480,", ",,", "line 2: counts is nan"),
    ],
)
def test_a_table_that_is_not_clear_is_refused(tmp_path, old, new, message):
    assert old in text()
    path = write(tmp_path, "a.csv", text().replace(old, new, 1))
    with pytest.raises(IgddError, match=message):
        ex_vivo.calibrate(ex_vivo_table.read(path), "Cu-64")


def test_other_tables_are_not_taken_for_it(reference, tmp_path):
    path = write(tmp_path, "a.csv", text())
    assert not tac_table.sniff(path)
    assert not blood_table.sniff(path)
    assert not ex_vivo_table.sniff(reference("pet/tacmagic_ad06/AD06_man_fullROI.csv"))
    assert not ex_vivo_table.sniff(tmp_path / "missing.csv")
    with pytest.raises(InputError):
        ex_vivo_table.read(tmp_path / "missing.csv")


@given(position=st.integers(0, 10**6), patch=st.binary(min_size=1, max_size=6))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_mutated_table_gives_percentages_or_our_own_error(tmp_path, position, patch):
    content = text().encode()
    at = position % len(content)
    path = write(tmp_path, "m.csv", content[:at] + patch + content[at + len(patch) :])
    try:
        ex_vivo_table.sniff(path)
        ex_vivo.calibrate(ex_vivo_table.read(path), "Cu-64")
    except IgddError:
        return
