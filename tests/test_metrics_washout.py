"""Washout: half-lives of exponentials, published lung retention, and what late imaging sees."""

from __future__ import annotations

import numpy as np
import pytest

from igdd.errors import StudyError
from igdd.io.uptake_table import read
from igdd.line import run
from igdd.metrics.washout import washout
from test_metrics_exposure import course

WEERS = """\
schema = 1
title = "Inhaled liposomes"
[agent]
carrier = "liposome"
label = {{ nuclide = "Tc-99m", on = "carrier" }}
[[subject]]
id = "mean"
[[scan]]
subject = "mean"
session = "24h"
modality = "uptake_table"
path = "day1.csv"
[[scan]]
subject = "mean"
session = "48h"
modality = "uptake_table"
path = "day2.csv"
[[measure]]
metric = "washout"
of = "{of}"
"""


def test_an_exponential_gives_its_half_life_and_its_start():
    hours = np.array([2.0, 24.0, 48.0, 96.0, 168.0])
    made = course({"lung": 8 * 0.5 ** (hours / 30)}, sd=0.02, shared=0.05)
    rows = {one.metric: one.estimate for one in washout(made, "percent_id_per_g")}
    assert rows["biological_half_life"].value == pytest.approx(30.0)
    physical = 282_276 / 3600  # Zr-89, ICRP-107: 78.41 h
    expected = 30 * physical / (30 + physical)
    assert rows["effective_half_life"].value == pytest.approx(expected, rel=1e-3)
    assert rows["washout_at_zero_percent_id_per_g"].value == pytest.approx(8.0)
    # slope of a straight line: var(k) = sum c^2 0.02^2 with c = (t - mean) / sum (t - mean)^2
    spread = 0.02 / np.sqrt(np.sum((hours - hours.mean()) ** 2))
    rate = np.log(2) / 30
    assert rows["biological_half_life"].sd == pytest.approx(30 * spread / rate, rel=1e-6)


def test_a_half_life_that_is_barely_known_has_no_limit_below_zero():
    made = course({"liver": [10.0, 9.9, 9.7, 9.6, 9.3]}, sd=0.1)
    one = next(iter(washout(made, "percent_id_per_g"))).row("01", "c", "")
    assert one["value"] - 1.96 * one["sd"] < 0 < one["low"] < one["value"] < one["high"]


def test_a_line_without_its_points_below_zero_says_so():
    made = course({"liver": [8.0, 4.0, -1.0, 1.0, 0.125]})
    rows = list(washout(made, "percent_id_per_g"))
    assert all("estimate_not_positive" in one.flags for one in rows)
    clean = washout(course({"liver": [8.0, 4.0, 2.0, 1.0, 0.125]}), "percent_id_per_g")
    assert all("estimate_not_positive" not in one.flags for one in clean)


def test_points_before_the_peak_are_not_part_of_the_line():
    made = course({"liver": [0.5, 8.0, 4.0, 1.0, 0.125]})
    rows = {one.metric: one for one in washout(made, "percent_id_per_g")}
    assert rows["biological_half_life"].estimate.value == pytest.approx(24.0)


def test_what_does_not_fall_has_no_half_life():
    made = course({"liver": [1.0, 2.0, 3.0, 4.0, 5.0]})
    rows = {one.metric: one for one in washout(made, "percent_id_per_g")}
    assert np.isnan(rows["biological_half_life"].estimate.value)
    assert "terminal_points_few" in rows["biological_half_life"].flags


def study(folder, of="percent_id"):
    (folder / "day1.csv").write_text(
        "subject,region,time_h,percent_id,percent_id_sd\nmean,lung,24,60.4,1\n"
    )
    (folder / "day2.csv").write_text(
        "subject,region,time_h,percent_id,percent_id_sd\nmean,lung,48,38.3,1\n"
    )
    path = folder / "study.toml"
    path.write_text(WEERS.format(of=of))
    return path


@pytest.fixture(scope="module")
def weers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weers")
    return run(study(folder), folder / "results", workers=1)


def test_published_lung_retention_gives_its_half_life(weers):
    rows = weers.measurements.set_index("metric")
    # Weers 2009: 60.4 % of the lung dose at 24 h, 38.3 % at 48 h; 24 h ln 2 / ln(60.4 / 38.3)
    assert rows.loc["biological_half_life", "value"] == pytest.approx(36.5, abs=0.05)
    assert rows.loc["washout_at_zero_percent_id", "value"] == pytest.approx(95.3, abs=0.1)
    assert rows.loc["biological_half_life", "session"] == "course"


def test_late_imaging_of_a_short_lived_label_is_warned_of(weers):
    rows = weers.measurements.set_index("metric")
    assert "little_activity_left" in rows.loc["biological_half_life", "flags"]
    # ICRP-107: 6.015 h, so 2^(-48 / 6.015)
    assert "0.396 % of the Tc-99m activity is left at 48 h" in rows.loc[
        "biological_half_life", "method"
    ]  # fmt: skip
    (warning,) = [text for text in weers.provenance["warnings"] if "activity is left" in text]
    assert "session 48h: 0.396 % of the Tc-99m activity is left at 48 h" in warning


def test_a_course_of_a_metric_that_is_not_there_stops_the_study(tmp_path):
    with pytest.raises(StudyError, match="no session gives 'suvbw'"):
        run(study(tmp_path, of="suvbw"), tmp_path / "results", workers=1)


def test_a_session_cannot_be_named_as_the_course(tmp_path):
    path = study(tmp_path)
    path.write_text(path.read_text().replace('"48h"', '"course"'))
    with pytest.raises(StudyError, match="'course'"):
        run(path, tmp_path / "results", workers=1)


def test_the_report_of_a_course_can_be_written_again(weers, tmp_path_factory):
    from igdd.line import rewrite

    folder = tmp_path_factory.mktemp("again")
    run(study(folder), folder / "results", workers=1)
    before = (folder / "results/report.html").read_bytes()
    assert rewrite(folder / "results").read_bytes() == before


def test_the_table_reader_is_the_one_that_the_study_uses(tmp_path):
    study(tmp_path)
    assert read(tmp_path / "day1.csv")["percent_id"].tolist() == [60.4]
