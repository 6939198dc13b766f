"""Tables: exact numbers, one order, the same bytes."""

from __future__ import annotations

from csv import DictReader

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import report_studies as studies
from igdd.report.tables import write_tables
from igdd.results import COLUMNS, FINDINGS, KEY


@pytest.fixture(scope="module")
def trial():
    return studies.trial(subjects=2)


def test_every_double_reads_back_exactly(trial, tmp_path):
    csv, parquet, _ = write_tables(trial, tmp_path)
    expected = trial.measurements.sort_values(list(KEY), kind="stable")["value"].to_numpy()
    with csv.open(newline="") as lines:
        shown = [float(line["value"]) for line in DictReader(lines)]
    assert shown == list(expected)
    assert (pq.read_table(parquet)["value"].to_numpy() == expected).all()


def test_rows_are_in_the_order_of_the_key_whatever_order_they_came_in(trial, tmp_path):
    mixed = trial.measurements.sample(frac=1.0, random_state=3)
    one = write_tables(trial, tmp_path / "a")
    other = write_tables(studies.results([], measurements=mixed), tmp_path / "b")
    for left, right in list(zip(one, other, strict=True))[:2]:
        assert left.read_bytes() == right.read_bytes()


def test_the_columns_are_the_declared_ones(trial, tmp_path):
    csv, parquet, findings = write_tables(trial, tmp_path)
    assert csv.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert tuple(pq.read_schema(parquet).names) == COLUMNS
    assert findings.read_text().splitlines()[0] == ",".join(FINDINGS)


def test_lines_end_with_a_line_feed_alone(trial, tmp_path):
    assert b"\r" not in write_tables(trial, tmp_path)[0].read_bytes()


def test_the_parquet_file_says_nothing_of_pandas_or_time(trial, tmp_path):
    parquet = write_tables(trial, tmp_path)[1]
    assert pq.read_schema(parquet).metadata is None
    assert b"pandas" not in parquet.read_bytes()


def test_an_unknown_number_is_empty_and_reads_as_nan(tmp_path):
    csv, parquet, _ = write_tables(studies.all_unknown(), tmp_path)
    assert np.isnan(pd.read_csv(csv)["value"]).all()
    assert np.isnan(pq.read_table(parquet)["value"].to_numpy()).all()


def test_nothing_measured_is_a_header(tmp_path):
    csv, parquet, findings = write_tables(studies.empty(), tmp_path)
    assert csv.read_text() == ",".join(COLUMNS) + "\n"
    assert pq.read_table(parquet).num_rows == 0
    assert findings.read_text() == ",".join(FINDINGS) + "\n"


def test_subject_names_stay_text(trial, tmp_path):
    assert pq.read_table(write_tables(trial, tmp_path)[1])["subject"][0].as_py() == "01"
