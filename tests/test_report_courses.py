"""What the report shows of metrics that follow a subject: table, chart, logarithmic course."""

from __future__ import annotations

import numpy as np
import pandas as pd

from igdd.report import courses
from igdd.report.overview import overview
from igdd.results import COLUMNS, FINDINGS, Results

HOURS = (1.0, 24.0, 72.0)
MEASURE = {"metric": "exposure", "of": "percent_id_per_g"}


def row(subject, session, metric, value, unit, region="liver"):
    return {
        "subject": subject, "session": session, "arm": "plain", "time": 3600.0, "analyte": "label",
        "region": region, "metric": metric, "value": value, "sd": 0.1, "sd_shared": 0.0,
        "low": value - 0.2, "high": value + 0.2, "unit": unit, "flags": "", "method": "",
    }  # fmt: skip


def results(area: float = 50.0) -> Results:
    rows = []
    for subject in ("1", "2", "3"):
        for hour in HOURS:
            taken = row(subject, f"{hour:g}h", "percent_id_per_g", 8 / hour, "%/g")
            rows.append({**taken, "time": hour * 3600})
        rows.append(row(subject, "course", "auc_last_percent_id_per_g", area, "%/g.h"))
        rows.append(row(subject, "course", "half_life_percent_id_per_g", np.nan, "h"))
    return Results(
        study={"title": "t", "measure": [MEASURE]},
        measurements=pd.DataFrame(rows, columns=list(COLUMNS)),
        findings=pd.DataFrame(columns=list(FINDINGS)),
    )


def test_an_exposure_has_a_logarithmic_course_a_chart_and_a_table():
    course, chart, table = courses.blocks(overview(results()), "Q2")
    assert course.name == "time-activity-log"
    assert chart.title == "AUC to the last session of uptake per mass"
    assert table.columns == ("region", "n", "AUC to the last session (%ID/g·h)")
    assert "No region has a value of:" in table.note
    assert "terminal half-life" in table.note
    assert table.rows == (("liver", "3", "50.0 (50.0 to 50.0)"),)


def test_other_questions_show_nothing_of_it():
    view = overview(results())
    assert courses.blocks(view, "Q5") == ()
    assert "course" not in view.sessions


def test_a_study_that_asks_for_no_course_shows_none():
    plain = results()
    without = Results(
        study={"title": "t", "measure": [{"metric": "uptake"}, "odd", {"metric": "unknown"}]},
        measurements=plain.measurements,
        findings=plain.findings,
    )
    assert courses.blocks(overview(without), "Q2") == ()


def test_what_has_no_number_at_all_has_neither_table_nor_chart():
    found = courses.blocks(overview(results(area=float("nan"))), "Q2")
    assert [block.name for block in found] == ["time-activity-log"]


def test_a_cell_of_fewer_subjects_than_its_line_says_of_how_many():
    some = results()
    rows = some.measurements
    known = (rows["metric"] == "half_life_percent_id_per_g") & (rows["subject"] == "1")
    rows.loc[known, ["value", "low", "high"]] = [30.0, 25.0, 36.0]
    table = courses.blocks(overview(some), "Q2")[-1]
    assert table.rows[0][1] == "3"
    assert table.rows[0][3] == "30.0 (25.0 to 36.0), n = 1"


def test_words_say_the_reference_and_leave_the_uptake_to_the_title():
    options = {"of": "percent_id", "reference": "blood"}
    assert courses._words("auc_last_{of}", options) == "AUC to the last session"
    ratio = courses._words("auc_last_{of}_to_{reference}", options)
    assert ratio == "AUC to the last session over blood"
