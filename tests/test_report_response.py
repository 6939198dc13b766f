"""Response in the report: bars sorted, lanes in days, and every decision with its trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from igdd.comparisons.response import response
from igdd.report import response as charts
from igdd.report.content import content
from igdd.report.overview import overview
from report_studies import HOSTILE, results, row, table

DAYS = {"base": "0 d", "w6": "42 d", "w12": "84 d"}
COURSES = {
    "01": (60, 30, 25), "02": (60, 60, 75), "03": (60, 0, 0), "10": (60, 61, None),
    HOSTILE[0]: (60, 50, 50),
}  # fmt: skip


def rows():
    return [
        row(subject=subject, session=session, time=3600.0, region="lesion_1", value=value,
            metric="longest_diameter", unit="mm", sd=0.5)
        for subject, values in COURSES.items()
        for session, value in zip(DAYS, values, strict=True)
        if value is not None
    ]  # fmt: skip


def judged(days=True):
    asked = {"sessions": tuple(DAYS), "days": tuple(DAYS.values()) if days else None}
    found = response(table(rows()), criterion="recist_1_1", kinds={"lesion_1": "lesion"}, **asked)
    entry = {"method": "response", "criterion": "recist_1_1"} | {
        name: list(value) for name, value in asked.items() if value
    }
    study = {"schema": 1, "title": "A small study", "compare": [entry]}
    provenance = {"kinds": {"lesion_1": "lesion"}}
    return results(rows(), findings=found, study=study, provenance=provenance)


def named(blocks, part):
    return next(one for one in blocks if part in getattr(one, "name", ""))


def data(layer):
    return layer["data"]["values"]


def test_the_waterfall_falls_and_shows_the_limits():
    chart = named(charts.blocks(overview(judged())), "waterfall")
    bars = data(chart.spec["layer"][0])
    values = [one["value"] for one in bars]
    assert values == sorted(values, reverse=True)
    assert {one["subject"]: one["response"] for one in bars}["01"] == "PR"
    assert [one["at"] for one in data(chart.spec["layer"][2])] == [-30.0, 20.0]
    # 02 goes up by 25 %: its lowest change is that of the first scan
    assert {one["subject"]: one["value"] for one in bars}["02"] == 0.0


def test_the_swimmers_lanes_end_at_the_last_scan():
    chart = named(charts.blocks(overview(judged())), "swimmer")
    lanes = {one["subject"]: one["end"] for one in data(chart.spec["layer"][0])}
    assert lanes["01"] == 84
    assert lanes["10"] == 42
    points = data(chart.spec["layer"][1])
    assert len(points) == 9
    assert "Days after the baseline" in chart.caption


def test_without_days_the_scans_are_counted():
    chart = named(charts.blocks(overview(judged(days=False))), "swimmer")
    assert {one["time"] for one in data(chart.spec["layer"][1])} == {1.0, 2.0}
    assert "states no days" in chart.caption


def test_every_decision_has_its_trace():
    listed = charts.decisions(charts._criteria(overview(judged()))[0])
    assert len(listed.rows) == 9 + 5
    first = listed.rows[0]
    assert first[0] == "01"
    assert "sum 30 mm; baseline 60 mm" in first[4]
    assert "doi:10.1016/j.ejca.2008.10.026" in listed.note


def test_a_report_with_responses_can_be_made():
    found = content(judged())
    assert "Subject 01, w12: partial response (PR) by RECIST 1.1: -58.3 %" in found.summary


def test_a_study_without_responses_has_no_blocks():
    assert charts.blocks(overview(results(rows()))) == ()


def test_a_change_without_a_number_is_said():
    found = judged()
    findings = found.findings.copy()
    findings.loc[findings["contrast"].str.contains("best response CR"), "estimate"] = np.nan
    chart = named(charts.blocks(overview(replace(found, findings=findings))), "waterfall")
    assert "1 subject without a number" in chart.caption


@pytest.mark.parametrize(("name", "wanted"), [("PERCIST 1.0", (-30.0, 30.0)), ("EORTC", ())])
def test_limits_are_those_of_the_criterion(name, wanted):
    assert charts.limits(name) == wanted
